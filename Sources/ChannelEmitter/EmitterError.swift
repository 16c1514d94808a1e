import RedisPubSub

/// An error of making an ``Emitter``, or of publishing. The description is one sentence without any credential.
public struct EmitterError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of an error. More may be added.
    public struct Code: Hashable, Sendable {
        private let name: String

        /// The URL, the format or a limit given to the initializer is invalid.
        public static let invalidConfiguration = Code(name: "invalidConfiguration")
        /// The message would reach nobody, or the wrong clients, or can't be encoded.
        public static let invalidMessage = Code(name: "invalidMessage")
        /// Redis could not be reached in time.
        public static let unreachable = Code(name: "unreachable")
        /// Redis refused the login, or the command.
        public static let refused = Code(name: "refused")
        /// The message was sent, and then the connection was lost, or no reply came in time.
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

    /// True if the message may have been published nevertheless, so that a second try could deliver it twice.
    public var mayHaveBeenPublished: Bool { code == .unanswered }

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    init(_ error: RedisError) {
        switch error {
        case .unreachable, .connectTimedOut, .notConnected, .tls, .needsTLS, .closedWithoutReply, .notMaster, .noMaster,
            .noSentinel:
            self.init(.unreachable, "\(error)")
        case .refused: self.init(.refused, "\(error)")
        case .queueFull: self.init(.tooManyPending, "\(error)")
        case .shutDown: self.init(.closed, "the emitter has been closed")
        // The connection was lost after the message had been sent.
        default:
            self.init(.unanswered, "\(error); the message may or may not have been published")
        }
    }
}
