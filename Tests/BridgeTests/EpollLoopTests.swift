import Glibc
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import Bridge

/// The sockets that go without NIO, over real descriptors and an event loop's own thread.
@Suite struct EpollLoopTests {
    private static func makeHosts(_ loops: [any EventLoop]) async throws -> [NIOLoopBound<AdminHost>] {
        var hosts: [NIOLoopBound<AdminHost>] = []
        for loop in loops {
            hosts.append(
                try await loop.submit {
                    let connections = ConnectionTable(
                        eventLoop: loop, configuration: BridgeConfiguration(), total: OpenConnections(limit: 100),
                        logger: logger)
                    return NIOLoopBound(AdminHost(connections), eventLoop: loop)
                }.get())
        }
        return hosts
    }

    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Runs `body` on an event loop that has an epoll loop.
    private static func withEpollLoop<Result: Sendable>(
        _ body: @escaping @Sendable (EpollLoop) -> EventLoopFuture<Result>
    ) async throws -> Result {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let host = try await makeHosts([loop])[0]
        await BridgeServer.startEpollLoops(of: [host], logger)
        let result = try await loop.flatSubmit { () -> EventLoopFuture<Result> in
            guard let epollLoop = host.value.connections.epollLoop else {
                return loop.makeFailedFuture(ChannelError.operationUnsupported)
            }
            return body(epollLoop)
        }.get()
        try await loop.submit { host.value.connections.stopEpollLoop() }.get()
        try await group.shutdownGracefully()
        return result
    }

    /// Two ends of a connection; the first doesn't block.
    private static func pair() -> (ours: CInt, theirs: CInt) {
        var ends: [CInt] = [-1, -1]
        #expect(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        return (ends[0], ends[1])
    }

    private static func send(_ text: StaticString, to descriptor: CInt) {
        #expect(text.withUTF8Buffer { Glibc.send(descriptor, $0.baseAddress, $0.count, 0) } == text.utf8CodeUnitCount)
    }

    /// An owner that does as the test says.
    private final class Owner: DirectSocketOwner {
        var socket: DirectSocket?
        var whenReceived: (String) -> Void = { _ in }
        var whenSendable: () -> Void = {}
        var isDisconnected = false

        init(_ descriptor: CInt, _ epollLoop: EpollLoop) throws {
            socket = try DirectSocket(descriptor, owner: self, epollLoop: epollLoop)
        }

        func received(_ bytes: inout ByteBuffer) { whenReceived(String(buffer: bytes)) }
        func canSendAgain() { whenSendable() }
        func disconnected() {
            isDisconnected = true
            socket = nil
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `what a client sends arrives, and its end closes the connection`() async throws {
        let received = try await Self.withEpollLoop { epollLoop in
            let loop = epollLoop.connections.eventLoop
            return loop.makeCompletedFuture {
                let (ours, theirs) = Self.pair()
                let promise = loop.makePromise(of: [String].self)
                let owner = try Owner(ours, epollLoop)
                var texts: [String] = []
                owner.whenReceived = {
                    texts.append($0)
                    if texts.count == 1 { Self.send("two", to: theirs) } else { close(theirs) }
                }
                #expect(epollLoop.connections.openCount == 1)
                epollLoop.connections.whenAllClosed(
                    loop.makePromise(of: Void.self).completing { promise.succeed(texts) })
                Self.send("one", to: theirs)
                return promise.futureResult
            }.flatMap { $0 }
        }
        #expect(received == ["one", "two"])
    }

    @Test(.timeLimit(.minutes(1)))
    func `others have their turn while many sockets are served`() async throws {
        let count = 200
        let servedBefore = try await Self.withEpollLoop { epollLoop in
            let loop = epollLoop.connections.eventLoop
            let promise = loop.makePromise(of: Int.self)
            return loop.makeCompletedFuture {
                var served = 0
                // A channel of NIO's, as Redis' is, that becomes readable when the first socket has been served.
                let redis = Self.pair()
                for _ in 0..<count {
                    let (ours, theirs) = Self.pair()
                    let owner = try Owner(ours, epollLoop)
                    owner.whenReceived = { _ in
                        if served == 0 { Self.send("message", to: redis.theirs) }
                        served += 1
                        // Work that takes its time, in place of thousands of clients.
                        let end = NIODeadline.now() + .milliseconds(1)
                        while NIODeadline.now() < end {}
                    }
                    Self.send("work", to: theirs)
                }
                let bound = NIOLoopBound({ served }, eventLoop: loop)
                return ClientBootstrap(group: loop)
                    .channelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture {
                            try channel.pipeline.syncOperations.addHandler(
                                Reader { promise.succeed(bound.value()) })
                        }
                    }
                    .withConnectedSocket(redis.ours)
            }.flatMap { (channel: EventLoopFuture<any Channel>) in channel }.flatMap { _ in promise.futureResult }
        }
        #expect(servedBefore < count)
    }

    @Test(.timeLimit(.minutes(1)))
    func `epoll loops start on all event loops or on none`() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 3)
        let hosts = try await Self.makeHosts(Array(group.makeIterator()))
        for failing in [2, 3] {
            await BridgeServer.startEpollLoops(of: hosts, Self.logger) { index in
                if index == failing { throw ChannelError.operationUnsupported }
            }
            for host in hosts {
                let isMissing = try await host.eventLoop.submit { host.value.connections.epollLoop == nil }.get()
                #expect(isMissing == (failing == 2))
            }
        }
        for host in hosts { try await host.eventLoop.submit { host.value.connections.stopEpollLoop() }.get() }
        try await group.shutdownGracefully()
    }

    /// Its descriptors are closed with the last that holds them; a write after that would reach whoever has their numbers.
    @Test func `a waker whose thread can't start says so`() {
        var error: IOError?
        do throws(IOError) {
            _ = try EpollWaker(loopCount: 3) { _, _ in EAGAIN }
        } catch let cause {
            error = cause
        }
        #expect(error?.errnoCode == EAGAIN)
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let body: () -> Void

        init(_ body: @escaping () -> Void) { self.body = body }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { body() }
    }

    @Test(.timeLimit(.minutes(1)))
    func `what the kernel doesn't take is sent when the client reads, in order`() async throws {
        let text = String((0..<400_000).map { "\($0)," }.joined())
        let received = try await Self.withEpollLoop { epollLoop in
            let loop = epollLoop.connections.eventLoop
            return loop.makeCompletedFuture {
                let (ours, theirs) = Self.pair()
                let owner = try Owner(ours, epollLoop)
                let promise = loop.makePromise(of: String.self)
                owner.socket?.write(ByteBuffer(string: text))
                #expect(owner.socket?.isWritable == false)
                #expect((owner.socket?.unsentBytes ?? 0) > 0)
                #expect(owner.socket?.openDescriptor == -1)
                owner.socket?.write(ByteBuffer(string: "end"))
                owner.whenSendable = {
                    #expect(owner.socket?.unsentBytes == 0)
                    owner.socket?.closeWhenSent()
                    #expect(owner.isDisconnected)
                }
                let thread = NIOThreadPool(numberOfThreads: 1)
                thread.start()
                thread.runIfActive(eventLoop: loop) {
                    var all: [UInt8] = []
                    var part = [UInt8](repeating: 0, count: 1 << 16)
                    while case let count = recv(theirs, &part, part.count, 0), count > 0 { all += part.prefix(count) }
                    close(theirs)
                    return String(decoding: all, as: UTF8.self)
                }.cascade(to: promise)
                return promise.futureResult
            }.flatMap { $0 }
        }
        #expect(received == text + "end")
    }

    @Test(.timeLimit(.minutes(1)))
    func `a socket that another one's owner closes in the same turn is not served, nor is its successor for it`()
        async throws
    {
        let served = try await Self.withEpollLoop { epollLoop in
            let loop = epollLoop.connections.eventLoop
            let promise = loop.makePromise(of: [String].self)
            return loop.makeCompletedFuture {
                var served: [String] = []
                var owners: [Owner] = []
                for name in ["a", "b"] {
                    let (ours, theirs) = Self.pair()
                    let owner = try Owner(ours, epollLoop)
                    owners.append(owner)
                    owner.whenReceived = { _ in
                        served.append(name)
                        // Whichever comes first closes the other, whose place a newcomer takes.
                        owners.first { $0 !== owner }?.socket?.close()
                        let (ours, theirs) = Self.pair()
                        let newcomer = try? Owner(ours, epollLoop)
                        newcomer?.whenReceived = { text in
                            served.append("newcomer's \(text)")
                            promise.succeed(served)
                        }
                        #expect(newcomer != nil)
                        loop.assumeIsolated().execute { Self.send("own", to: theirs) }
                    }
                    Self.send("x", to: theirs)
                }
                return promise.futureResult
            }.flatMap { $0 }
        }
        #expect(served.count == 2 && served.last == "newcomer's own")
    }

    @Test(.timeLimit(.minutes(1)))
    func `a connection that is given away stays open`() async throws {
        try await Self.withEpollLoop { epollLoop in
            epollLoop.connections.eventLoop.makeCompletedFuture {
                let (ours, theirs) = Self.pair()
                let owner = try Owner(ours, epollLoop)
                let descriptor = owner.socket?.release()
                #expect(descriptor == ours && owner.isDisconnected)
                Self.send("still", to: theirs)
                var bytes = [UInt8](repeating: 0, count: 8)
                #expect(recv(ours, &bytes, 8, 0) == 5)
                close(ours)
                close(theirs)
                #expect(epollLoop.connections.openCount == 0)
            }
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a descriptor that can't be watched is closed`() async throws {
        try await Self.withEpollLoop { epollLoop in
            epollLoop.connections.eventLoop.makeCompletedFuture {
                let (ours, theirs) = Self.pair()
                let owner = try Owner(ours, epollLoop)
                // An epoll instance doesn't watch a descriptor twice.
                #expect(throws: IOError.self) { _ = try Owner(ours, epollLoop) }
                #expect(owner.socket?.release() == ours)
                var byte: UInt8 = 0
                #expect(recv(theirs, &byte, 1, 0) == 0, "the end of the stream")
                close(theirs)
            }
        }
    }

    @Test func `a descriptor on its way is closed unless somebody takes it`() {
        for isTaken in [false, true] {
            let (ours, theirs) = Self.pair()
            let taken = isTaken ? OwnedDescriptor(ours).take() : -1
            if !isTaken { _ = OwnedDescriptor(ours) }
            var byte: UInt8 = 0
            #expect(recv(theirs, &byte, 1, CInt(MSG_DONTWAIT)) == (isTaken ? -1 : 0))
            #expect(taken == (isTaken ? ours : -1))
            if isTaken { close(taken) }
            close(theirs)
        }
    }
}

extension EventLoopPromise<Void> {
    /// Calls `body` when this promise is kept.
    fileprivate func completing(_ body: @escaping () -> Void) -> Self {
        futureResult.assumeIsolated().whenSuccess { body() }
        return self
    }
}
