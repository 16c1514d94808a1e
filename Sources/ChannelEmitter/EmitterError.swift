import RedisPubSub

/// Why an ``Emitter`` could not be made, or did not publish. The description is one sentence without any credential.
public struct EmitterError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of error; more may come.
    public struct Code: Hashable, Sendable {
        private let name: String

        /// The URL, the format or a limit given to the initializer has no meaning.
        public static let invalidConfiguration = Code(name: "invalidConfiguration")
        /// The message would reach nobody, or the wrong ones, or can't be written.
        public static let invalidMessage = Code(name: "invalidMessage")
        /// Redis could not be reached in time.
        public static let unreachable = Code(name: "unreachable")
        /// Redis refused the login, or the command.
        public static let refused = Code(name: "refused")
        /// The connection was lost, or no answer came in time, after the message had been sent.
        public static let unanswered = Code(name: "unanswered")
        /// Too many messages wait for Redis.
        public static let tooManyPending = Code(name: "tooManyPending")
        /// The emitter has been closed.
        public static let closed = Code(name: "closed")
    }

    /// The kind of error.
    public let code: Code
    /// The error as one sentence.
    public let description: String

    /// Whether the message may have reached its receivers all the same, so that a second try could deliver it twice.
    public var mayHaveBeenPublished: Bool { code == .unanswered }

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    init(_ error: RedisError) {
        switch error {
        case .unreachable, .connectTimedOut, .notConnected, .tls, .needsTLS, .closedUnheard, .notMaster, .noMaster,
            .noSentinel:
            self.init(.unreachable, "\(error)")
        case .refused: self.init(.refused, "\(error)")
        case .queueFull: self.init(.tooManyPending, "\(error)")
        case .shutDown: self.init(.closed, "the emitter has been closed")
        // The connection was lost with the message under way.
        default:
            self.init(.unanswered, "\(error); the message may or may not have been published")
        }
    }
}
