import NIOCore
import NIOSSL

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
    private let wantsMaster: Bool
    /// Where it leads, once that is known.
    var endpoint: RedisURL.Endpoint?
    private let configuration: RedisConfiguration
    private let eventLoop: any EventLoop
    /// A cycle until the connection ends.
    private let owner: RedisLink

    private let reader: RedisReplyReader
    // Unchecked, these three: touched for each message or read, and nothing is called while they are.
    @exclusivity(unchecked) private var state = State.connecting
    @exclusivity(unchecked) private var hasDelivered = false
    @exclusivity(unchecked) private var hasHeard = false
    private var context: ChannelHandlerContext?
    private var pending: RedisPendingCommands
    /// Commands taken before the handshake was over.
    private var held: ByteBuffer?
    private var unconfirmedChannels = 0
    private var isFlushPlanned = false
    private var isPingUnanswered = false
    private var lastPing = NIODeadline.uptimeNanoseconds(0)
    /// When each PING was sent that a subscription has not answered, oldest first.
    private var unprovenPings = CircularBuffer<NIODeadline>()
    /// Of a subscription: all that was published before has come. The answer to a PING comes behind all messages.
    private(set) var provenUntil: NIODeadline?
    /// The server's number for this connection, of a subscription and where an ACL permits the question.
    private(set) var clientID: Int64?

    private var handshakeTimer: Scheduled<Void>?
    private var pingTimer: Scheduled<Void>?
    private var expiryTimer: Scheduled<Void>?
    private var provingTimer: Scheduled<Void>?

    /// - Parameter wantsMaster: whether a server that is no master (`ROLE`) is left at once.
    init(
        role: Role, url: RedisURL, configuration: RedisConfiguration, eventLoop: any EventLoop, owner: RedisLink,
        wantsMaster: Bool = false
    ) {
        self.role = role
        self.url = url
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.owner = owner
        self.wantsMaster = wantsMaster
        reader = RedisReplyReader(maximumReplyBytes: configuration.maximumReplyBytes)
        pending = RedisPendingCommands(
            maximumCount: configuration.maximumPendingCommands, maximumBytes: configuration.maximumPendingBytes)
        // Before any command that is given to us while we connect: replies come in the order of sending.
        if sendsAuth { pending.appendInternal(.auth) }
        if url.options.clientName != nil { pending.appendInternal(.setName) }
        if wantsMaster { pending.appendInternal(.role) }
        reader.keepsArrays = true
        switch role {
        case .subscription(_, _, let delegate):
            reader.delegate = delegate
            pending.appendInternal(.clientID)
        case .commands:
            pending.appendInternal(selectsDatabase ? .select : .ping)
        }
    }

    /// Whether the login is that of a user, not only a password.
    var namesUser: Bool { url.user != nil }

    private var sendsAuth: Bool { url.user != nil || url.password != nil }

    /// Database 0 is where a connection begins: an ACL that lacks SELECT is no obstacle then.
    private var selectsDatabase: Bool { url.database != 0 }

    var isClosed: Bool { if case .closed = state { true } else { false } }

    /// The channel that carries the connection, once there is one and until its end.
    var channel: (any Channel)? { context?.channel }

    // MARK: Connecting

    /// Starts the clock that bounds connecting and the handshake.
    func start() {
        handshakeTimer = schedule(after: configuration.connectTimeout) { connection in
            let isSilentTLS = connection.context != nil && connection.url.options.tls != nil && !connection.hasHeard
            connection.end(
                isSilentTLS
                    ? .tls(reason: "the server did not answer the handshake; is this its TLS port?") : .connectTimedOut)
        }
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
        // Before SUBSCRIBE is sent: what comes after it was taken may still be on its way when it is confirmed.
        if case .subscription = role { provenUntil = eventLoop.now }
        var buffer = ByteBuffer()
        if sendsAuth { RedisCommand.auth(user: url.user, password: url.password, to: &buffer) }
        if let name = url.options.clientName { RedisCommand.words(["CLIENT", "SETNAME", name], to: &buffer) }
        if wantsMaster { RedisCommand.words(["ROLE"], to: &buffer) }
        switch role {
        case .subscription(let channels, let patterns, _):
            unconfirmedChannels = channels.count + patterns.count
            RedisCommand.words(["CLIENT", "ID"], to: &buffer)
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
        if case .subscription = role { prove() }
        owner.connectionIsReady(self)
    }

    // MARK: Commands

    /// Sends a command, or keeps it until the handshake is over; fails it at once when too many wait.
    func send(_ command: RedisPendingCommands.Command, _ bytes: ByteBuffer) {
        guard !isClosed else { return command.fail(.notConnected) }
        let deadline = eventLoop.now + TimeAmount(configuration.commandTimeout)
        let isAccepted = pending.append(command, byteCount: bytes.readableBytes, deadline: deadline)
        guard isAccepted else {
            owner.counters.refusedCommands += command.replyCount
            return command.fail(.queueFull)
        }
        owner.counters.commands += command.replyCount
        if case .ready = state {
            write(bytes)
        } else {
            held.setOrWriteImmutableBuffer(bytes)
        }
        if expiryTimer == nil { scheduleExpiry() }
    }

    func obstacle(toSending byteCount: Int) -> RedisError? {
        if pending.isOverdue { return .commandTimedOut }
        return pending.mayAppend(byteCount: byteCount) ? nil : .queueFull
    }

    /// Sends a question of our own: not counted, not bounded, and ended by its answer or with the connection. Asked once at a
    /// time, of a ready connection.
    func sendInternal(_ command: RedisPendingCommands.Command, _ bytes: ByteBuffer) {
        guard case .ready = state else { return command.fail(.notConnected) }
        pending.appendInternal(command)
        write(bytes)
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
            owner.counters.expiredCommands += command.replyCount
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
        var buffer = unwrapInboundIn(data)
        // A TLS alert (RFC 8446, section 5.1), which no reply of Redis begins with.
        if !hasHeard, url.options.tls == nil, buffer.readableBytesView.first == 0x15 { return end(.needsTLS) }
        hasHeard = true
        takeAnswersOfBatches(&buffer)
        var messages = 0
        var messageBytes = 0
        var failure: RedisError?
        buffer.withUnsafeReadableBytes { bytes in
            do throws(RedisError) {
                try reader.read(bytes) { reply throws(RedisError) in
                    if case .message(let byteCount) = reply {
                        messages += 1
                        messageBytes += byteCount
                    } else {
                        try handle(reply)
                    }
                    // A delegate may shut the broker down from within a message.
                    return !isClosed
                }
            } catch {
                failure = error
            }
        }
        if messages > 0 {
            hasDelivered = true
            owner.counters.messages += messages
            owner.counters.messageBytes += messageBytes
        }
        if let failure { end(failure) } else if isClosed { endBatch() }
    }

    /// Plain integers for a batch pass by the parser: they are many and all alike.
    private func takeAnswersOfBatches(_ buffer: inout ByteBuffer) {
        while reader.isIdle, let batch = pending.firstBatch, buffer.readableBytes > 0 {
            let taken = buffer.withUnsafeReadableBytes { batch.takeAnswers(from: $0) }
            buffer.moveReaderIndex(forwardBy: taken)
            guard batch.isAnswered else { return }
            settleBatch()
        }
    }

    /// Takes out the batch at the front, whose last answer has come.
    private func settleBatch() {
        guard case (.publishes(let batch, let promise), let isExpired)? = pending.popFirst(), !isExpired else { return }
        if let message = batch.refusal { promise.fail(refusal(of: .publish, message)) } else { promise.succeed() }
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
        case .message: break  // counted where it was read
        case .subscribed:
            unconfirmedChannels -= 1
            if unconfirmedChannels == 0 { becomeReady() }
        case .pong: isProven()
        case .status, .error, .integer, .bulk, .null, .texts, .array:
            if let batch = pending.firstBatch, batch.take(reply) {
                if batch.isAnswered { settleBatch() }
                return
            }
            guard let (command, isExpired) = pending.popFirst() else { return try handleUnasked(reply) }
            if !isExpired { try settle(command, reply) }
            // What follows the last of them are messages.
            if case .subscription = role, pending.isEmpty { reader.keepsArrays = false }
        }
    }

    private func settle(_ command: RedisPendingCommands.Command, _ reply: RedisReply) throws(RedisError) {
        switch (command, reply) {
        case (.auth, .status): break
        case (.select, .status), (.ping, .status), (.ping, .bulk), (.ping, .texts): becomeReady()
        case (.auth, .error(let message)): throw refusal(of: .auth, message)
        case (.select, .error(let message)): throw refusal(of: .select, message)
        case (.ping, .error(let message)):
            guard Self.isAliveAllTheSame(message) else { throw refusal(of: .ping, message) }
            becomeReady()
        case (.setName, .error(let message)), (.clientID, .error(let message)), (.role, .error(let message)):
            // An ACL or a proxy may lack these commands; the sentinels' word must do for ROLE then.
            if message.contains("max number of clients") { throw .broken(reason: message) }
        case (.setName, .status): break
        case (.clientID, .integer(let id)): clientID = id
        case (.role, .texts(let words)):
            guard words.first == ByteBuffer(string: "master") else {
                throw .notMaster(endpoint: endpoint?.description ?? "")
            }
        case (.query(let name, let promise), .error(let message)):
            promise.fail(RedisError.refused(command: name, message: message))
        case (.query(_, let promise), _): promise.succeed(reply)
        case (.publish(let promise), .integer(let count)): promise.succeed(Int(count))
        case (.publish(let promise), .error(let message)):
            promise.fail(refusal(of: .publish, message))
        case (.get(let promise), .bulk(let value)): promise.succeed(value)
        case (.get(let promise), .null): promise.succeed(nil)
        case (.get(let promise), .error(let message)):
            promise.fail(refusal(of: .get, message))
        case (.channels(let promise), .texts(let names)): promise.succeed(names)
        case (.channels(let promise), .error(let message)):
            promise.fail(RedisError.refused(command: .channels, message: message))
        default:
            let error = RedisError.malformedReply(reason: "a reply that does not fit its command")
            command.fail(error)
            throw error
        }
    }

    private func refusal(of command: RedisError.Command, _ message: String) -> RedisError {
        let advice = configuration.rights.advice(for: command, refusedWith: message)
        return .refused(command: command, message: message + advice)
    }

    /// A reply that no command waits for: inside a subscription the errors of SUBSCRIBE and PING come so, anywhere the
    /// server's own word, as when it has too many clients.
    private func handleUnasked(_ reply: RedisReply) throws(RedisError) {
        let isAnswerToPing = !unprovenPings.isEmpty && { if case .ready = state { true } else { false } }()
        guard case .error(let message) = reply else {
            // Only PING is sent within a subscription, so that is answered, in a spelling of the server's own.
            if isAnswerToPing { return isProven() }
            throw .malformedReply(reason: "a reply that nothing asked for")
        }
        guard case .subscription = role else { throw .broken(reason: message) }
        // Any error but of the login: somebody is there who reads our PING, and doesn't know it within subscriptions.
        let isOfLogin = ["NOAUTH", "WRONGPASS"].contains { message.utf8.starts(with: $0.utf8) }
        if isAnswerToPing, !isOfLogin { return isProven() }
        throw refusal(of: .subscribe, message)
    }

    /// Whether the error with which a server answers PING proves that it lives: an ACL such as `+@pubsub +get` has no
    /// PING in it, proxies may not know it, and a server that is loading its data, running a script or cut from its master
    /// says so.
    private static func isAliveAllTheSame(_ message: String) -> Bool {
        ["NOPERM", "LOADING", "BUSY", "MASTERDOWN", "ERR unknown command"].contains {
            message.utf8.starts(with: $0.utf8)
        }
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
                let left = connection.configuration.pingTimeout - connection.sincePing
                if left > .zero { connection.watchPeer(after: left) } else { connection.end(.silent) }
            } else {
                connection.sendPing()
                connection.watchPeer(after: connection.configuration.pingTimeout)
            }
        }
    }

    /// Sends the next proving PING, unless the last one is still unanswered: a subscription that lags is not proven.
    private func prove() {
        provingTimer = schedule(after: configuration.provingInterval) { connection in
            if connection.unprovenPings.isEmpty { connection.sendPing() }
            connection.prove()
        }
    }

    private func isProven() {
        if let sentAt = unprovenPings.popFirst() { provenUntil = sentAt }
    }

    private var sincePing: Duration { .nanoseconds((eventLoop.now - lastPing).nanoseconds) }

    private func sendPing() {
        isPingUnanswered = true
        lastPing = eventLoop.now
        // Inside a subscription the answer is told apart by its text; elsewhere it comes in order.
        if case .commands = role { pending.appendInternal(.ping) } else { unprovenPings.append(lastPing) }
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
        guard url.options.tls != nil else { return end(isUnheard ? .closedUnheard : .reading(error)) }
        if case NIOSSLError.uncleanShutdown = error { return end(.closedByServer) }
        guard !(error is IOError) else { return end(.reading(error)) }
        let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
        let server = url.options.tls?.serverName ?? endpoint?.description ?? ""
        end(.tls(reason: RedisTLSFailure.describe(error, certificate: certificate, server: server)))
    }

    /// What a TLS port does with our first command: it closes without an alert.
    private var isUnheard: Bool {
        if case .handshake = state { return !hasHeard && url.options.tls == nil }
        return false
    }

    /// Whether a reply has begun and not ended.
    var isWithinReply: Bool { reader.isWithinReply }

    func channelInactive(context: ChannelHandlerContext) {
        end(isUnheard ? .closedUnheard : .closedByServer)
        context.fireChannelInactive()
    }

    /// Ends the connection for this cause, unless it has ended before: fails what waits, closes, tells the owner.
    func end(_ cause: RedisError) {
        guard !isClosed else { return }
        state = .closed
        endBatch()
        for timer in [handshakeTimer, pingTimer, expiryTimer, provingTimer] { timer?.cancel() }
        for command in pending.removeAll() { command.fail(cause) }
        held = nil
        reader.delegate = nil
        context?.close(promise: nil)
        owner.connectionHasEnded(self, cause)
    }
}
