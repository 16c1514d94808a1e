import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import RedisPubSub

/// One connection on an embedded channel: a scripted server and a clock of our own.
@Suite struct RedisConnectionTests {
    final class Recorder: PubSubDelegate {
        var messages: [String] = []
        var batches = 0

        func received(_ payload: Span<UInt8>, on redisChannel: Span<UInt8>) {
            messages.append(text(of: payload))
        }

        func receivedBatch() { batches += 1 }
        func subscriptionChanged(_ state: SubscriptionState) {}
    }

    final class Subject {
        let loop = EmbeddedEventLoop()
        let channel: EmbeddedChannel
        let link: RedisLink
        let connection: RedisConnection
        let recorder: Recorder
        private let counts: RedisContext.Counts
        var counters: RedisCounters { counts.total }
        /// A command given before there is a connection.
        private(set) var early: EventLoopFuture<ByteBuffer?>?
        private let log: Log

        private final class Log { var events: [RedisLink.Event] = [] }

        init(
            subscribing channels: [String]? = nil, url: String = "redis://", getsEarly: Bool = false,
            _ adjust: (inout RedisConfiguration) -> Void = { _ in }
        ) throws {
            let recorder = Recorder()
            self.recorder = recorder
            let subscription = channels.map { RedisSubscription(channels: $0, delegate: recorder) }
            var configuration = RedisConfiguration()
            // A retry would leave the embedded world.
            configuration.backoff.initial = .seconds(3_600)
            configuration.backoff.maximum = .seconds(3_600)
            configuration.backoff.afterRefusal = .seconds(3_600)
            configuration.provingInterval = .seconds(3_600)
            adjust(&configuration)
            let log = Log()
            self.log = log
            let context = RedisContext(
                url: try RedisURL(url), configuration: configuration, eventLoop: loop, logger: Logger(label: "test"))
            counts = context.counts
            link = RedisLink(
                context, subscription: subscription, locator: RedisSeeds(context.url.endpoints, eventLoop: loop)
            ) {
                log.events.append($0)
            }
            connection = RedisConnection(context, subscription: subscription, owner: link)
            channel = EmbeddedChannel(loop: loop)
            connection.start()
            if getsEarly { early = get("early") }
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            try channel.pipeline.syncOperations.addHandler(connection)
            // CLIENT ID, where no login goes before it.
            if channels != nil, !url.contains("@") { try reply(":7\r\n") }
        }

        /// A connection and its link hold each other until the end.
        deinit {
            _ = link.stop()
            connection.end(.shutDown)
            loop.run()
        }

        var readyCount: Int {
            log.events.count { if case .ready = $0 { true } else { false } }
        }

        var cause: RedisError? {
            for case .down(let cause, _) in log.events { return cause }
            return nil
        }

        /// What has been sent since the last call.
        func sent() throws -> String {
            loop.run()
            var text = ""
            while let buffer = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: buffer) }
            return text
        }

        func reply(_ text: String) throws {
            try channel.writeInbound(ByteBuffer(string: text))
        }

        func get(_ key: String) -> EventLoopFuture<ByteBuffer?> {
            let promise = loop.makePromise(of: RedisReply.self)
            connection.send(.query(.get, promise), RedisCommand.get(Array(key.utf8)))
            return promise.futureResult.map { $0.bytes }
        }
    }

    @Test func `a subscription logs in, subscribes and is ready when each channel is confirmed`() throws {
        let subject = try Subject(subscribing: ["a", "bc"], url: "redis://me:pw@h/3")
        #expect(
            try subject.sent()
                == "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$2\r\npw\r\n*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n"
                + "*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$2\r\nbc\r\n")
        try subject.reply("+OK\r\n:7\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
        #expect(subject.connection.state.clientID == 7)
        #expect(subject.readyCount == 0)
        try subject.reply("*3\r\n$9\r\nsubscribe\r\n$2\r\nbc\r\n:2\r\n" + RedisReplyReaderTests.message("m"))
        #expect(subject.readyCount == 1)
        #expect(subject.recorder.messages == ["m"])
        #expect(subject.recorder.batches == 1)
        #expect(subject.counters.messages == 1 && subject.counters.messageBytes == 1)
    }

    @Test func `commands wait for the handshake and get their replies in order`() throws {
        let subject = try Subject(url: "redis://:pw@h/3")
        let early = subject.get("k")
        #expect(try subject.sent() == "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n")
        try subject.reply("+OK\r\n+OK\r\n")
        #expect(try subject.sent() == "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
        let batch = RedisPublishBatchTests.batch("hi")
        let published = subject.loop.makePromise(of: Void.self)
        subject.connection.send(.publish(batch, published), batch.commands)
        #expect(try subject.sent() == "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\nhi\r\n")
        let refused = subject.get("x")
        try subject.reply("$1\r\nv\r\n:2\r\n-WRONGTYPE not a string\r\n")
        #expect(try early.wait() == ByteBuffer(string: "v"))
        try published.futureResult.wait()
        #expect(batch.receiverCount == 2)
        #expect(throws: RedisError.refused(command: .get, message: "WRONGTYPE not a string")) { try refused.wait() }
        #expect(subject.cause == nil)
    }

    @Test func `a command given before there is a connection gets its reply after the login`() throws {
        let subject = try Subject(url: "redis://:pw@h", getsEarly: true)
        #expect(try subject.sent() == "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*1\r\n$4\r\nPING\r\n")
        try subject.reply("+OK\r\n+OK\r\n$1\r\nv\r\n")
        #expect(try subject.early?.wait() == ByteBuffer(string: "v"))
        #expect(subject.cause == nil)
    }

    @Test func `an expired command fails and its late reply goes to nobody else`() throws {
        let subject = try Subject { $0.commandTimeout = .seconds(2) }
        try subject.reply("+OK\r\n")
        let first = subject.get("1")
        subject.loop.advanceTime(by: .seconds(1))
        let second = subject.get("2")
        subject.loop.advanceTime(by: .seconds(1))
        #expect(throws: RedisError.commandTimedOut) { try first.wait() }
        try subject.reply("$1\r\na\r\n$1\r\nb\r\n")
        #expect(try second.wait() == ByteBuffer(string: "b"))
        #expect(subject.counters.expiredCommands == 1)
        #expect(subject.cause == nil)
    }

    @Test func `a command expires behind a PING of our own without a reply`() throws {
        let subject = try Subject {
            $0.commandTimeout = .seconds(2)
            $0.pingInterval = .seconds(1)
            $0.pingTimeout = .seconds(10)
        }
        try subject.reply("+OK\r\n")
        _ = try subject.sent()
        subject.loop.advanceTime(by: .seconds(1))
        subject.loop.advanceTime(by: .seconds(1))
        #expect(try subject.sent() == "*1\r\n$4\r\nPING\r\n")
        let expired = subject.get("1")
        subject.loop.advanceTime(by: .seconds(2))
        #expect(throws: RedisError.commandTimedOut) { try expired.wait() }
        let live = subject.get("2")
        try subject.reply("+PONG\r\n$1\r\na\r\n$1\r\nb\r\n")
        #expect(try live.wait() == ByteBuffer(string: "b"))
    }

    @Test func `commands over the bounds fail at once`() throws {
        let subject = try Subject {
            $0.maximumPendingCommands = 3
            $0.maximumPendingBytes = 1000
        }
        // The PING of the handshake, which has no reply yet, doesn't count.
        let taken = (0..<3).map { subject.get("\($0)") }
        let over = subject.get("3")
        #expect(throws: RedisError.queueFull) { try over.wait() }
        try subject.reply("+PONG\r\n$-1\r\n$-1\r\n$-1\r\n")
        for future in taken { #expect(try future.wait() == nil) }
        #expect(subject.counters.refusedCommands == 1)
    }

    @Test func `the bytes that wait are bounded, but one command is always taken`() throws {
        let subject = try Subject { $0.maximumPendingBytes = 1000 }
        try subject.reply("+OK\r\n")
        #expect(subject.connection.state.pending.obstacle(toSending: 10_000) == nil)
        let large = subject.get(String(repeating: "x", count: 10_000))
        #expect(subject.connection.state.pending.obstacle(toSending: 1) == .queueFull)
        let refused = subject.get("x")
        #expect(throws: RedisError.queueFull) { try refused.wait() }
        try subject.reply("$-1\r\n")
        #expect(try large.wait() == nil)
        let several = (0..<5).map { _ in subject.get(String(repeating: "x", count: 30)) }
        #expect(subject.connection.state.pending.obstacle(toSending: 30) == .queueFull)
        try subject.reply(String(repeating: "$-1\r\n", count: 5))
        for future in several { #expect(try future.wait() == nil) }
        #expect(subject.connection.state.pending.obstacle(toSending: 800) == nil)
    }

    @Test func `a server that doesn't reply to a command is an obstacle until it does`() throws {
        let subject = try Subject { $0.commandTimeout = .seconds(2) }
        try subject.reply("+OK\r\n")
        let late = subject.get("x")
        subject.loop.advanceTime(by: .seconds(1))
        #expect(subject.connection.state.pending.obstacle(toSending: 1) == nil)
        subject.loop.advanceTime(by: .seconds(1))
        #expect(throws: RedisError.commandTimedOut) { try late.wait() }
        #expect(subject.connection.state.pending.obstacle(toSending: 1) == .commandTimedOut)
        try subject.reply("$-1\r\n")
        #expect(subject.connection.state.pending.obstacle(toSending: 1) == nil)
    }

    @Test(arguments: [nil, ["c"]] as [[String]?])
    func `a quiet peer is sent a PING and kept when it replies`(_ channels: [String]?) throws {
        let subject = try Subject(subscribing: channels)
        try subject.reply(channels == nil ? "+OK\r\n" : "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
        _ = try subject.sent()
        subject.loop.advanceTime(by: .seconds(5))
        for _ in 0..<5 {
            subject.loop.advanceTime(by: .seconds(5))
            #expect(try subject.sent() == "*1\r\n$4\r\nPING\r\n")
            try subject.reply(channels == nil ? "+PONG\r\n" : "*2\r\n$4\r\npong\r\n$0\r\n\r\n")
            subject.loop.advanceTime(by: .seconds(3))
        }
        #expect(subject.cause == nil)
        subject.loop.advanceTime(by: .seconds(13))
        #expect(subject.cause == .silent)
        #expect(!subject.channel.isActive)
        #expect(subject.counters.silentPeers == 1)
    }

    /// Garnet, older Dragonfly and proxies; RESP3, which we don't ask for; servers that know no PING within subscriptions.
    @Test(arguments: [
        "+PONG\r\n", "$4\r\nPONG\r\n", "$4\r\npong\r\n", "*2\r\n$4\r\nPONG\r\n$0\r\n\r\n", "*2\r\n+pong\r\n+\r\n",
        "*2\r\n$4\r\npong\r\n$-1\r\n", "*1\r\n$4\r\npong\r\n", ">2\r\n$4\r\npong\r\n$0\r\n\r\n",
        ">2\r\n+PONG\r\n$0\r\n\r\n",
        "$0\r\n\r\n", "+OK\r\n", "*-1\r\n", "-ERR unknown command 'PING'\r\n",
        "-ERR only (P)SUBSCRIBE / (P)UNSUBSCRIBE / QUIT allowed in this context\r\n",
    ])
    func `a reply to PING proves life within a subscription, in any spelling`(_ reply: String) throws {
        for size in [1, 1 << 10] {
            let subject = try Subject(subscribing: ["c"]) { $0.provingInterval = .seconds(1) }
            try subject.reply("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
            for _ in 0..<30 {
                subject.loop.advanceTime(by: .seconds(1))
                let bytes = Array((reply + RedisReplyReaderTests.message("m")).utf8)
                for start in stride(from: 0, to: bytes.count, by: size) {
                    try subject.reply(String(decoding: bytes[start...].prefix(size), as: UTF8.self))
                }
                #expect(subject.connection.state.liveness.provenUntil == subject.loop.now)
            }
            #expect(subject.cause == nil && subject.recorder.messages.count == 30)
        }
    }

    @Test(arguments: ["$4\r\nPONG\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"])
    func `a reply to PING proves life on a connection for commands, in any spelling`(_ reply: String) throws {
        let subject = try Subject()
        _ = try subject.sent()
        for _ in 0..<5 {
            try subject.reply(reply)
            subject.loop.advanceTime(by: .seconds(5))
            while try !subject.sent().hasSuffix("PING\r\n") { subject.loop.advanceTime(by: .seconds(1)) }
        }
        #expect(subject.readyCount == 1 && subject.cause == nil)
    }

    @Test func `a PONG that nobody asked for does no harm`() throws {
        let subject = try Subject(subscribing: ["c"])
        try subject.reply("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n+PONG\r\n$4\r\nPONG\r\n")
        #expect(subject.cause == nil)
    }

    @Test func `messages and confirmations come as pushes of RESP3 too`() throws {
        let subject = try Subject(subscribing: ["c"])
        try subject.reply(
            ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\n>a\nb\r\n>3\r\n$7\r\nmes"
        )
        try subject.reply("sage\r\n$1\r\nc\r\n$1\r\n>\r\n")
        #expect(subject.recorder.messages == [">a\nb", ">"] && subject.cause == nil && subject.readyCount == 1)
    }

    @Test func `a PING that is not permitted proves life as well as one that is`() throws {
        for channels in [nil, ["c"]] as [[String]?] {
            let subject = try Subject(subscribing: channels)
            try subject.reply(channels == nil ? "-NOPERM no\r\n" : "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
            #expect(subject.readyCount == 1)
            subject.loop.advanceTime(by: .seconds(10))
            try subject.reply("-NOPERM no\r\n")
            subject.loop.advanceTime(by: .seconds(3))
            #expect(subject.cause == nil)
            try subject.reply("-NOPERM no\r\n-NOAUTH no\r\n")
            #expect(subject.cause != nil)
        }
    }

    @Test func `a loss begins with the last PING that had a reply, however many messages came since`() throws {
        let subject = try Subject(subscribing: ["c"]) { $0.provingInterval = .seconds(1) }
        try subject.reply("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
        let start = subject.loop.now
        #expect(subject.connection.state.liveness.provenUntil == start)
        _ = try subject.sent()
        for second in 1...3 as ClosedRange<Int64> {
            subject.loop.advanceTime(by: .seconds(1))
            #expect(try subject.sent() == "*1\r\n$4\r\nPING\r\n")
            try subject.reply("*2\r\n$4\r\npong\r\n$0\r\n\r\n")
            #expect(subject.connection.state.liveness.provenUntil == start + .seconds(second))
        }
        let proven = subject.connection.state.liveness.provenUntil
        // Messages alone prove nothing: they may have waited long.
        for _ in 0..<30 {
            subject.loop.advanceTime(by: .seconds(1))
            try subject.reply(RedisReplyReaderTests.message("m"))
        }
        #expect(try subject.sent() == "*1\r\n$4\r\nPING\r\n")
        subject.connection.end(.closedByServer)
        #expect(subject.link.provenUntil == proven)
    }

    @Test func `a message cut in two is known after the end`() throws {
        let subject = try Subject(subscribing: ["c"])
        try subject.reply("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
        #expect(!subject.connection.isWithinReply)
        try subject.reply("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$100\r\nhalf")
        #expect(subject.connection.isWithinReply)
    }

    @Test func `the alert of a TLS server leads to the scheme to write`() throws {
        let subject = try Subject()
        try subject.reply("\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}\u{46}")
        #expect(subject.cause == .needsTLS)
    }

    @Test func `a peer that never finishes the handshake is given up`() throws {
        let subject = try Subject()
        let waiting = subject.get("k")
        subject.loop.advanceTime(by: .seconds(5))
        #expect(subject.cause == .connectTimedOut)
        #expect(throws: RedisError.self) { try waiting.wait() }
    }

    static let hostile: [(String, RedisError)] = [
        (
            "-ERR max number of clients reached\r\n",
            .refused(command: .subscribe, message: "ERR max number of clients reached")
        ),
        ("+OK\r\n", .malformedReply(reason: "a reply that nothing asked for")),
        (":1\r\n", .malformedReply(reason: "a reply that nothing asked for")),
        ("*1\r\n$1\r\nx\r\n", .malformedReply(reason: "a reply that nothing asked for")),
    ]

    @Test(arguments: hostile)
    func `a subscription ends at a reply that it did not ask for`(_ text: String, _ cause: RedisError) throws {
        let subject = try Subject(subscribing: ["c"])
        try subject.reply(text)
        #expect(subject.cause == cause)
        #expect(!subject.channel.isActive)
    }

    @Test func `more confirmations than channels and messages before them do no harm`() throws {
        let subject = try Subject(subscribing: ["c"])
        let confirmation = "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
        try subject.reply(RedisReplyReaderTests.message("m") + confirmation + confirmation + confirmation)
        #expect(subject.readyCount == 1)
        #expect(subject.cause == nil)
    }

    @Test func `a reply that does not fit its command ends the connection and fails what waits`() throws {
        let subject = try Subject()
        try subject.reply("+OK\r\n")
        let (first, second) = (subject.get("1"), subject.get("2"))
        try subject.reply(":1\r\n$1\r\nx\r\n")
        #expect(throws: RedisError.self) { try first.wait() }
        #expect(throws: RedisError.self) { try second.wait() }
        #expect(subject.cause == .malformedReply(reason: "a reply that does not fit its command"))
    }

    @Test func `a refused login ends the connection without showing what the server quotes`() throws {
        let subject = try Subject(url: "redis://:s3cret@h")
        try subject.reply("-ERR unknown command `AUTH`, with args beginning with: `s3cret`, \r\n-NOAUTH x\r\n")
        #expect(subject.cause == .refused(command: .auth, message: "ERR unknown command …"))
        #expect(subject.cause?.isRefusal == true)
    }

    @Test func `random replies never trap`() throws {
        let parts = [
            "+OK\r\n", "-ERR\r\n", ":1\r\n", "$1\r\nx\r\n", "$-1\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n",
            "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", RedisReplyReaderTests.message("m"), "*0\r\n", "junk",
        ]
        for round in 0..<500 {
            let subject = try Subject(
                subscribing: round % 2 == 0 ? ["c"] : nil, url: round % 3 == 0 ? "redis://:x@h" : "redis://")
            for _ in 0..<8 where !subject.connection.isClosed {
                if round % 2 == 1 { _ = subject.get("k") }
                try subject.reply(parts[Int.random(in: 0..<parts.count)])
            }
            subject.connection.end(.closedByServer)
        }
    }
}
