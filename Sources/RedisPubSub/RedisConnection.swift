import NIOCore
import NIOSSL

/// The handler of one connection to Redis: reads and writes, keeps the timers, and performs what ``RedisConnectionState`` says.
///
/// It serves connections that subscribe and those that send commands. All calls are made on the channel's event loop. The
/// owner is told when the connection is ready and when it has ended, each at most once.
final class RedisConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let context: RedisContext
    /// The server, once it is known.
    var endpoint: RedisURL.Endpoint?
    /// A reference cycle until the connection ends.
    private let owner: RedisLink
    private let reader: RedisReplyReader
    private let delegate: (any PubSubDelegate)?
    // Exclusivity is unchecked because this is read for each message. Its methods call nothing outside of it.
    @exclusivity(unchecked) private(set) var state: RedisConnectionState
    private var hasDelivered = false
    private var handlerContext: ChannelHandlerContext?
    private var isFlushScheduled = false

    private var handshakeTimer: Scheduled<Void>?
    private var livenessTimer: Scheduled<Void>?
    private var expiryTimer: Scheduled<Void>?

    /// - Parameters:
    ///   - subscription: nil for a connection for commands.
    ///   - wantsMaster: true to leave a server at once if it is no master (`ROLE`).
    init(
        _ context: RedisContext, subscription: RedisSubscription?, owner: RedisLink, wantsMaster: Bool = false
    ) {
        self.context = context
        self.owner = owner
        delegate = subscription?.delegate
        unsafe state = RedisConnectionState(
            channels: subscription?.channels ?? [], patterns: subscription?.patterns ?? [], url: context.url,
            configuration: context.configuration, wantsMaster: wantsMaster)
        reader = RedisReplyReader(maximumReplyBytes: context.configuration.maximumReplyBytes)
        reader.keepsArrays = true
        reader.delegate = delegate
    }

    private var eventLoop: any EventLoop { context.eventLoop }

    var isClosed: Bool { unsafe state.isClosed }

    /// True if a reply has begun and not ended.
    var isWithinReply: Bool { reader.isWithinReply }

    /// The channel that carries the connection, from connecting to the end.
    var channel: (any Channel)? { handlerContext?.channel }

    // MARK: Connecting

    /// Starts the timer that bounds connecting and the handshake.
    func start() {
        let deadline = eventLoop.now + TimeAmount(context.configuration.connectTimeout)
        handshakeTimer = schedule(at: deadline) { unsafe $0.end($0.state.handshakeTimeout) }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        handlerContext = context
        if context.channel.isActive { unsafe perform(state.connected(at: eventLoop.now)) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        handlerContext = nil
        end(.closedByServer)
    }

    func channelActive(context: ChannelHandlerContext) {
        unsafe perform(state.connected(at: eventLoop.now))
        context.fireChannelActive()
    }

    // MARK: Commands

    /// Sends a command, or holds it until the handshake is over; fails it at once when too many commands wait.
    func send(_ command: RedisPendingCommands.Command, _ bytes: ByteBuffer) {
        let action = unsafe state.send(
            command, bytes, deadline: eventLoop.now + TimeAmount(context.configuration.commandTimeout))
        switch action {
        case .fail(_, .queueFull): context.counts.total.refusedCommands += command.replyCount
        case .fail: break
        default:
            context.counts.total.commands += command.replyCount
            if expiryTimer == nil { scheduleExpiry() }
        }
        perform(action)
    }

    /// Sends a command of our own on a ready connection: not counted, not bounded, and never expired.
    func ask(_ command: RedisError.Command, _ words: [String]) -> EventLoopFuture<RedisReply> {
        let promise = eventLoop.makePromise(of: RedisReply.self)
        unsafe perform(state.sendInternal(.query(command, promise), RedisCommand.words(words)))
        return promise.futureResult
    }

    /// Flushes once per turn of the loop: commands given together leave in one system call.
    private func write(_ buffer: ByteBuffer) {
        guard let handlerContext, buffer.readableBytes > 0 else { return }
        handlerContext.write(wrapOutboundOut(buffer), promise: nil)
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        eventLoop.assumeIsolated().execute { [weak self] in
            self?.isFlushScheduled = false
            self?.handlerContext?.flush()
        }
    }

    // MARK: Replies

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosed else { return }
        let buffer = unwrapInboundIn(data)
        let firstByte = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self)
        if let failure = unsafe state.received(firstByte: firstByte) { return end(failure) }
        var messages = 0
        var messageBytes = 0
        var failure: RedisError?
        unsafe buffer.withUnsafeReadableBytes { bytes in
            do throws(RedisError) {
                try unsafe reader.read(bytes) { reply throws(RedisError) in
                    if case .message(let byteCount) = reply {
                        messages += 1
                        messageBytes += byteCount
                    } else {
                        let action = unsafe state.received(reply, from: endpoint)
                        reader.keepsArrays = unsafe state.keepsArrays
                        if let cause = perform(action) { throw cause }
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
            self.context.counts.total.messages += messages
            self.context.counts.total.messageBytes += messageBytes
        }
        if let failure { end(failure) } else if isClosed { endBatch() }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        endBatch()
        context.fireChannelReadComplete()
    }

    private func endBatch() {
        guard hasDelivered else { return }
        hasDelivered = false
        delegate?.receivedBatch()
    }

    /// - Returns: the error that ends the connection, if there is one.
    @discardableResult
    private func perform(_ action: RedisConnectionState.Action) -> RedisError? {
        switch action {
        case .none: break
        case .write(let bytes): write(bytes)
        case .complete(let command, let reply): return command.complete(with: reply, context.configuration.rights)
        case .fail(let command, let cause): command.fail(cause)
        case .close(let cause): return cause
        case .becomeReady(let held):
            handshakeTimer?.cancel()
            write(held)
            unsafe state.liveness.becameReady(at: eventLoop.now)
            scheduleLiveness()
            owner.connectionIsReady(self)
        }
        return nil
    }

    // MARK: Timers

    private func scheduleLiveness() {
        livenessTimer = unsafe schedule(at: state.liveness.nextDeadline) { connection in
            switch unsafe connection.state.livenessIsDue(at: connection.eventLoop.now) {
            case .none: break
            case .sendPing: connection.write(RedisCommand.ping)
            case .close(let cause): return connection.end(cause)
            }
            connection.scheduleLiveness()
        }
    }

    /// One timer for all commands, since they expire in the order in which they were sent.
    private func scheduleExpiry() {
        expiryTimer = unsafe state.pending.nextDeadline.map { schedule(at: $0) { $0.expireCommands() } }
    }

    private func expireCommands() {
        let now = eventLoop.now
        while let command = unsafe state.pending.popExpired(now: now) {
            context.counts.total.expiredCommands += command.replyCount
            command.fail(.commandTimedOut)
        }
        scheduleExpiry()
    }

    private func schedule(at deadline: NIODeadline, _ body: @escaping (RedisConnection) -> Void) -> Scheduled<Void> {
        eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            if let self, !self.isClosed { body(self) }
        }
    }

    // MARK: The end

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let tls = self.context.url.options.tls else {
            return unsafe end(state.isUnanswered ? .closedWithoutReply : .reading(error))
        }
        let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
        let server = tls.serverName ?? endpoint?.description ?? ""
        end(RedisTLSFailure.cause(error, certificate: certificate, server: server))
    }

    func channelInactive(context: ChannelHandlerContext) {
        unsafe end(state.isUnanswered ? .closedWithoutReply : .closedByServer)
        context.fireChannelInactive()
    }

    /// Ends the connection for this cause, unless it has ended before: fails what waits, closes, tells the owner.
    func end(_ cause: RedisError) {
        guard !isClosed else { return }
        let commands = unsafe state.close()
        endBatch()
        for timer in [handshakeTimer, livenessTimer, expiryTimer] { timer?.cancel() }
        for command in commands { command.fail(cause) }
        reader.delegate = nil
        handlerContext?.close(promise: nil)
        owner.connectionHasEnded(self, cause)
    }
}
