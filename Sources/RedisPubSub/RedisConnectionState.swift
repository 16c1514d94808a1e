import NIOCore

/// The channels and patterns that a connection subscribes to, at least one, and the receiver of their messages.
struct RedisSubscription {
    let channels: [String]
    var patterns: [String] = []
    let delegate: any PubSubDelegate
}

/// The state of one connection to Redis: takes what happens, says what to do, and does no I/O.
///
///     connecting ──connected──▶ handshake ──received──▶ ready ──close──▶ closed
///                               RedisHandshake          RedisLiveness: PINGs; RedisPendingCommands: commands and replies
///
/// No method calls anything outside, so that the callbacks of promises, which run when an action is performed, may send
/// commands at once.
struct RedisConnectionState {
    enum Action {
        case none
        case write(ByteBuffer)
        /// The handshake is over: write the commands held until now, start the timers, tell the owner.
        case becomeReady(held: ByteBuffer)
        case complete(RedisPendingCommands.Command, RedisReply)
        case fail(RedisPendingCommands.Command, RedisError)
        case close(RedisError)
    }

    private enum Phase { case connecting, handshake, ready, closed }

    let isSubscription: Bool
    private let isPlain: Bool
    private let rights: RedisRights
    private var phase = Phase.connecting
    private var handshake: RedisHandshake
    var liveness: RedisLiveness
    var pending: RedisPendingCommands
    /// Commands given before the handshake was over.
    private var heldCommands = ByteBuffer()

    /// - Parameters:
    ///   - channels: empty, as `patterns`, for a connection for commands.
    ///   - wantsMaster: true to leave a server at once if it is no master (`ROLE`).
    init(
        channels: [String], patterns: [String], url: RedisURL, configuration: RedisConfiguration,
        wantsMaster: Bool = false
    ) {
        isSubscription = !channels.isEmpty || !patterns.isEmpty
        isPlain = url.options.tls == nil
        rights = configuration.rights
        handshake = RedisHandshake(
            url: url, channels: channels, patterns: patterns, wantsMaster: wantsMaster, rights: rights)
        liveness = RedisLiveness(
            pingInterval: configuration.pingInterval, pingTimeout: configuration.pingTimeout,
            provingInterval: isSubscription ? configuration.provingInterval : nil)
        pending = RedisPendingCommands(
            maximumCount: configuration.maximumPendingCommands, maximumBytes: configuration.maximumPendingBytes)
    }

    var isClosed: Bool { phase == .closed }
    private var isReady: Bool { phase == .ready }

    /// Of a subscription: the server's number for this connection.
    var clientID: Int64? { handshake.clientID }

    /// True if arrays are replies to commands. A subscription receives only messages and confirmations after its first replies.
    var keepsArrays: Bool { !isSubscription || handshake.expectsReply }

    // MARK: Bytes

    /// The socket is connected.
    mutating func connected(at now: NIODeadline) -> Action {
        guard phase == .connecting else { return .none }
        phase = .handshake
        liveness.handshakeBegins(at: now)
        return .write(handshake.commands)
    }

    /// Bytes have arrived, whatever they are.
    ///
    /// - Returns: an error if they are a TLS alert (RFC 8446, section 5.1); no reply of Redis begins with that byte.
    mutating func received(firstByte: UInt8?) -> RedisError? {
        if firstByte == 0x15, isUnanswered { return .needsTLS }
        liveness.hasReceived = true
        return nil
    }

    /// True if the server hasn't replied to the first command yet. A TLS port then closes the connection without an alert.
    var isUnanswered: Bool { phase == .handshake && isPlain && !liveness.hasReceived }

    /// The error of a handshake that takes too long.
    var handshakeTimeout: RedisError {
        guard !isPlain, !liveness.hasReceived, phase != .connecting else { return .connectTimedOut }
        return .tls(reason: "the server did not reply to the handshake; is this its TLS port?")
    }

    // MARK: Replies

    /// Takes any reply but a message.
    mutating func received(_ reply: RedisReply, from endpoint: RedisURL.Endpoint?) -> Action {
        if phase == .handshake {
            switch handshake.received(reply, from: endpoint) {
            case .wait: return .none
            case .close(let cause): return .close(cause)
            case .ready:
                phase = .ready
                defer { heldCommands = ByteBuffer() }
                return .becomeReady(held: heldCommands)
            }
        }
        guard isSubscription else { return pending.received(reply) }
        return liveness.received(reply, rights).map { .close($0) } ?? .none
    }

    // MARK: Commands

    /// Takes a command: to be written now, or held until the handshake is over, or refused when too many wait.
    mutating func send(_ command: RedisPendingCommands.Command, _ bytes: ByteBuffer, deadline: NIODeadline) -> Action {
        guard !isClosed else { return .fail(command, .notConnected) }
        guard pending.append(command, byteCount: bytes.readableBytes, deadline: deadline) else {
            return .fail(command, .queueFull)
        }
        if isReady { return .write(bytes) }
        heldCommands.writeImmutableBuffer(bytes)
        return .none
    }

    /// Takes a command of our own: not bounded, never expired, and refused unless the connection is ready.
    mutating func sendInternal(_ command: RedisPendingCommands.Command, _ bytes: ByteBuffer) -> Action {
        guard isReady else { return .fail(command, .notConnected) }
        pending.appendInternal(command)
        return .write(bytes)
    }

    // MARK: PINGs and the end

    /// The deadline of `liveness` has passed.
    mutating func livenessIsDue(at now: NIODeadline) -> RedisLiveness.Action {
        let action = liveness.deadlineHasPassed(at: now)
        if case .sendPing = action, !isSubscription { pending.appendInternal(.ping) }
        return action
    }

    /// The connection has ended.
    ///
    /// - Returns: the commands to fail.
    mutating func close() -> [RedisPendingCommands.Command] {
        phase = .closed
        heldCommands = ByteBuffer()
        return pending.removeAll()
    }
}
