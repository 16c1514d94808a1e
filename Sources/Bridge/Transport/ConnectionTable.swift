import Logging
import NIOCore

/// A connection that is closed when a request doesn't come in time.
protocol TimedConnection: AnyObject {
    /// Position in the host's table.
    var index: Int { get set }
    /// - Returns: true if a request was overdue.
    func closeIfOverdue(at now: NIODeadline) -> Bool
    /// The server stops: closes the connection now or after the request in progress.
    func closeWhenIdle()
}

/// The connections of one event loop: their number, their deadlines, their unsent responses and unfinished messages.
final class ConnectionTable {
    let eventLoop: any EventLoop
    let configuration: BridgeConfiguration
    let logger: Logger
    /// The connections of all event loops of the listener.
    let total: OpenConnections
    /// Reads and writes sockets without NIO; nil where it could not be started.
    var epollLoop: EpollLoop?
    var unfinished = UnfinishedInputs()
    var counters = BridgeCounters()
    private(set) var openCount = 0
    private(set) var isShuttingDown = false
    private var timed: [any TimedConnection] = []
    /// Connections that have responses to send at the end of this turn.
    private var responding: [HTTPConnection] = []
    private var allClosed: EventLoopPromise<Void>?

    init(eventLoop: any EventLoop, configuration: BridgeConfiguration, total: OpenConnections, logger: Logger) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.total = total
        self.logger = logger
    }

    // MARK: Number

    /// Counts an accepted or adopted connection until it closes.
    func opened(_ channel: any Channel) throws {
        // As `childChannelOption`, but without a future for each. A channel keeps its read buffer for as long as it lives,
        // and most have little to read.
        try channel.syncOptions?.setOption(
            .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 512, maximum: 65536))
        opened()
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.closed() }
    }

    func opened() {
        openCount += 1
        total.opened()
    }

    func closed() {
        openCount -= 1
        total.closed()
        if openCount == 0 { allClosed?.succeed() }
    }

    /// Succeeds the promise once no connection is open.
    func whenAllClosed(_ promise: EventLoopPromise<Void>) {
        if openCount == 0 { promise.succeed() } else { allClosed = promise }
    }

    // MARK: Deadlines

    /// The interval of deadline checks: a fraction of the shortest interval, since a check costs one look at each session.
    var tick: TimeAmount {
        let shortest = min(configuration.timing.pingInterval, configuration.timing.pingTimeout)
        return TimeAmount(max(.milliseconds(20), min(.seconds(1), shortest / 10)))
    }

    func add(_ connection: any TimedConnection) {
        connection.index = timed.count
        timed.append(connection)
    }

    func remove(_ connection: any TimedConnection) {
        guard connection.index < timed.count, timed[connection.index] === connection else { return }
        timed.swapRemove(at: connection.index)
        if connection.index < timed.count { timed[connection.index].index = connection.index }
    }

    /// - Returns: how many connections had an overdue request.
    func closeOverdue(at now: NIODeadline) -> Int {
        var count = 0
        // From the last to the first: a connection that closes is replaced by the last one, which was checked before.
        for index in stride(from: timed.count - 1, through: 0, by: -1) where index < timed.count {
            if timed[index].closeIfOverdue(at: now) { count += 1 }
        }
        return count
    }

    /// The server stops: no further request on any connection.
    func shutdown() {
        isShuttingDown = true
        for connection in timed { connection.closeWhenIdle() }
    }

    func stopEpollLoop() {
        epollLoop?.stop()
        epollLoop = nil
    }

    // MARK: Responses

    /// Sends a connection's responses at the end of this turn of the event loop.
    func flushLater(_ connection: HTTPConnection) {
        responding.append(connection)
        guard responding.count == 1 else { return }
        eventLoop.assumeIsolated().execute { [self] in
            let connections = responding
            responding.removeAll(keepingCapacity: true)
            for connection in connections { connection.flush() }
        }
    }
}
