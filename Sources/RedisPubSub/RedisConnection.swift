import NIOCore

/// One connection to Redis, from connecting to its end: logs in, subscribes or takes commands, and notices a silent peer.
///
///     init ─▶ connecting ──▶ handshake: AUTH, SELECT or SUBSCRIBE ──▶ ready ──▶ closed(cause)
///
/// The same handler serves both kinds of connection. All calls are made on the channel's event loop; its owner hears of
/// `ready` and of the end, each at most once.
final class RedisConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What a connection is for.
    enum Role {
        /// Subscribes these channels and patterns, not none of both, and hands their messages over.
        case subscription(channels: [String], patterns: [String], delegate: any PubSubDelegate)
        /// Sends PUBLISH, GET and PUBSUB.
        case commands
    }

    private enum State { case connecting, handshake, ready, closed }

    private let role: Role
    private let url: RedisURL
    private let configuration: RedisConfiguration
    private let eventLoop: any EventLoop
    /// A cycle until the connection ends.
    private let owner: RedisLink

    private let reader: RedisReplyReader
    private var state = State.connecting
    private var context: ChannelHandlerContext?
    private var pending: RedisPendingCommands
    /// Commands taken before the handshake was over.
    private var held: ByteBuffer?
    private var unconfirmedChannels = 0
    private var isFlushPlanned = false
    private var hasDelivered = false
    private var hasHeard = false
    private var isPingUnanswered = false

    private var handshakeTimer: Scheduled<Void>?
    private var pingTimer: Scheduled<Void>?
    private var expiryTimer: Scheduled<Void>?

    init(role: Role, url: RedisURL, configuration: RedisConfiguration, eventLoop: any EventLoop, owner: RedisLink) {
        self.role = role
        self.url = url
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.owner = owner
        reader = RedisReplyReader(maximumReplyBytes: configuration.maximumReplyBytes)
        pending = RedisPendingCommands(
            maximumCount: configuration.maximumPendingCommands, maximumBytes: configuration.maximumPendingBytes)
        // Before any command that is given to us while we connect: replies come in the order of sending.
        if sendsAuth { pending.appendInternal(.auth) }
        switch role {
        case .subscription(_, _, let delegate): reader.delegate = delegate
        case .commands:
            reader.keepsArrays = true
            pending.appendInternal(selectsDatabase ? .select : .ping)
        }
    }

    private var sendsAuth: Bool { url.user != nil || url.password != nil }

    /// Database 0 is where a connection begins: an ACL that lacks SELECT is no obstacle then.
    private var selectsDatabase: Bool { url.database != 0 }

    var isClosed: Bool { if case .closed = state { true } else { false } }

    /// The channel that carries the connection, once there is one and until its end.
    var channel: (any Channel)? { context?.channel }

    // MARK: Connecting

    /// Starts the clock that bounds connecting and the handshake.
    func start() {
        handshakeTimer = schedule(after: configuration.connectTimeout) { $0.end(.connectTimedOut) }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { beginHandshake() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        end(.closedByServer)
    }

    func channelActive(context: ChannelHandlerContext) {
        beginHandshake()
        context.fireChannelActive()
    }

    private func beginHandshake() {
        guard case .connecting = state else { return }
        state = .handshake
        var buffer = ByteBuffer()
        if sendsAuth { RedisCommand.auth(user: url.user, password: url.password, to: &buffer) }
        switch role {
        case .subscription(let channels, let patterns, _):
            unconfirmedChannels = channels.count + patterns.count
            if !channels.isEmpty { RedisCommand.words(["SUBSCRIBE"] + channels, to: &buffer) }
            if !patterns.isEmpty { RedisCommand.words(["PSUBSCRIBE"] + patterns, to: &buffer) }
        case .commands:
            // One of them is sent always: its answer proves that this is a Redis that lets us in.
            RedisCommand.words(selectsDatabase ? ["SELECT", String(url.database)] : ["PING"], to: &buffer)
        }
        write(buffer)
    }

    private func becomeReady() {
        guard case .handshake = state else { return }
        state = .ready
        handshakeTimer?.cancel()
        handshakeTimer = nil
        if let held { write(held) }
        held = nil
        hasHeard = true
        watchPeer(after: configuration.pingInterval)
        owner.connectionIsReady(self)
    }

    // MARK: Commands

    /// Sends a command, or keeps it until the handshake is over; fails it at once when too many wait.
    func send(_ command: RedisPendingCommands.Command, _ bytes: ByteBuffer) {
        guard !isClosed else { return command.fail(.notConnected) }
        let deadline = eventLoop.now + TimeAmount(configuration.commandTimeout)
        let isAccepted = pending.append(command, byteCount: bytes.readableBytes, deadline: deadline)
        guard isAccepted else {
            owner.counters.refusedCommands += 1
            return command.fail(.queueFull)
        }
        owner.counters.commands += 1
        if case .ready = state {
            write(bytes)
        } else {
            held.setOrWriteImmutableBuffer(bytes)
        }
        if expiryTimer == nil { scheduleExpiry() }
    }

    /// One timer for all commands: they expire in the order in which they were sent.
    private func scheduleExpiry() {
        expiryTimer = nil
        guard let deadline = pending.nextDeadline else { return }
        expiryTimer = schedule(after: .nanoseconds((deadline - eventLoop.now).nanoseconds)) { $0.expireCommands() }
    }

    private func expireCommands() {
        let now = eventLoop.now
        while let command = pending.popExpired(now: now) {
            owner.counters.expiredCommands += 1
            command.fail(.commandTimedOut)
        }
        scheduleExpiry()
    }

    /// Flushes once per turn of the loop: commands given together leave in one system call.
    private func write(_ buffer: ByteBuffer) {
        guard let context else { return }
        context.write(wrapOutboundOut(buffer), promise: nil)
        guard !isFlushPlanned else { return }
        isFlushPlanned = true
        eventLoop.assumeIsolated().execute { [weak self] in
            self?.isFlushPlanned = false
            self?.context?.flush()
        }
    }

    // MARK: Replies

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosed else { return }
        hasHeard = true
        let buffer = unwrapInboundIn(data)
        do throws(RedisError) {
            var failure: RedisError?
            buffer.withUnsafeReadableBytes { bytes in
                do throws(RedisError) { try reader.feed(bytes) } catch { failure = error }
            }
            if let failure { throw failure }
            // A delegate may shut the broker down from within a message.
            while !isClosed, let reply = try reader.next() { try handle(reply) }
        } catch {
            end(error)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        endBatch()
        context.fireChannelReadComplete()
    }

    private func endBatch() {
        guard hasDelivered, case .subscription(_, _, let delegate) = role else { return }
        hasDelivered = false
        delegate.receivedBatch()
    }

    private func handle(_ reply: RedisReply) throws(RedisError) {
        switch reply {
        case .message(let byteCount):
            hasDelivered = true
            owner.counters.messages += 1
            owner.counters.messageBytes += byteCount
        case .subscribed:
            unconfirmedChannels -= 1
            if unconfirmedChannels == 0 { becomeReady() }
        case .pong: break
        case .status, .error, .integer, .bulk, .null, .texts, .array:
            guard let (command, isExpired) = pending.popFirst() else { return try handleUnasked(reply) }
            if !isExpired { try settle(command, reply) }
        }
    }

    private func settle(_ command: RedisPendingCommands.Command, _ reply: RedisReply) throws(RedisError) {
        switch (command, reply) {
        case (.auth, .status): break
        case (.select, .status), (.ping, .status): becomeReady()
        case (.auth, .error(let message)): throw .refused(command: .auth, message: message)
        case (.select, .error(let message)): throw .refused(command: .select, message: message)
        case (.ping, .error(let message)):
            guard Self.isAliveAllTheSame(message) else { throw .refused(command: .ping, message: message) }
            becomeReady()
        case (.publish(let promise), .integer(let count)): promise.succeed(Int(count))
        case (.publish(let promise), .error(let message)):
            promise.fail(RedisError.refused(command: .publish, message: message))
        case (.get(let promise), .bulk(let value)): promise.succeed(value)
        case (.get(let promise), .null): promise.succeed(nil)
        case (.get(let promise), .error(let message)):
            promise.fail(RedisError.refused(command: .get, message: message))
        case (.channels(let promise), .texts(let names)): promise.succeed(names)
        case (.channels(let promise), .error(let message)):
            promise.fail(RedisError.refused(command: .channels, message: message))
        default:
            let error = RedisError.malformedReply(reason: "a reply that does not fit its command")
            command.fail(error)
            throw error
        }
    }

    /// A reply that no command waits for: inside a subscription the errors of SUBSCRIBE and PING come so, anywhere the
    /// server's own word, as when it has too many clients.
    private func handleUnasked(_ reply: RedisReply) throws(RedisError) {
        guard case .error(let message) = reply else { throw .malformedReply(reason: "a reply that nothing asked for") }
        guard case .subscription = role else { throw .broken(reason: message) }
        if case .ready = state, isPingUnanswered, Self.isAliveAllTheSame(message) { return }
        throw .refused(command: .subscribe, message: message)
    }

    /// Whether the error with which a server answers PING proves that it lives: an ACL such as `+@pubsub +get` has no
    /// PING in it, and a server that is loading its data, running a script or cut from its master says so.
    private static func isAliveAllTheSame(_ message: String) -> Bool {
        ["NOPERM", "LOADING", "BUSY", "MASTERDOWN"].contains { message.utf8.starts(with: $0.utf8) }
    }

    // MARK: The peer's life

    /// Runs for the whole life of a ready connection: silence for one interval is answered by a PING, silence after the
    /// PING ends the connection. Whatever arrives counts, so a busy connection is never sent a PING.
    private func watchPeer(after delay: Duration) {
        pingTimer = schedule(after: delay) { connection in
            if connection.hasHeard {
                connection.hasHeard = false
                connection.isPingUnanswered = false
                connection.watchPeer(after: connection.configuration.pingInterval)
            } else if connection.isPingUnanswered {
                connection.end(.silent)
            } else {
                connection.sendPing()
                connection.watchPeer(after: connection.configuration.pingTimeout)
            }
        }
    }

    private func sendPing() {
        isPingUnanswered = true
        // Inside a subscription the answer is an array, told apart by its first word; elsewhere it comes in order.
        if case .commands = role { pending.appendInternal(.ping) }
        var buffer = ByteBuffer()
        RedisCommand.words(["PING"], to: &buffer)
        write(buffer)
    }

    private func schedule(after delay: Duration, _ body: @escaping (RedisConnection) -> Void) -> Scheduled<Void> {
        eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { [weak self] in
            if let self, !self.isClosed { body(self) }
        }
    }

    // MARK: The end

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.reading(error))
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.closedByServer)
        context.fireChannelInactive()
    }

    /// Ends the connection for this cause, unless it has ended before: fails what waits, closes, tells the owner.
    func end(_ cause: RedisError) {
        guard !isClosed else { return }
        state = .closed
        endBatch()
        for timer in [handshakeTimer, pingTimer, expiryTimer] { timer?.cancel() }
        for command in pending.removeAll() { command.fail(cause) }
        held = nil
        reader.delegate = nil
        context?.close(promise: nil)
        owner.connectionHasEnded(self, cause)
    }
}
