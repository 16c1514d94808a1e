import Foundation
import Logging
import NIOCore
import NIOPosix
import RedisPubSub
import Testing

/// Against a real redis-server.
@Suite(.serialized, .enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .timeLimit(.minutes(2)))
struct RedisBrokerTests {
    @Test func `what is published on a subscribed channel arrives, by TCP and by unix socket`() async throws {
        let server = try await RedisServer.started()
        for url in [
            "redis://127.0.0.1:\(server.port)/0", "redis://localhost:\(server.port)", "unix://\(server.socket)?db=1",
        ] {
            let probe = try await BrokerProbe(url, channels: ["a", "b"])
            try await probe.until("subscribed") { $0.subscribedCount == 1 }
            #expect(try await probe.publish("one", to: "a") == 1)
            #expect(try await probe.publish("", to: "b") == 1)
            #expect(try await probe.publish("elsewhere", to: "c") == 0)
            let large = String(repeating: "x", count: 1_000_000)
            #expect(try await probe.publish(large, to: "a") == 1)
            try await probe.until("all have come") { $0.messages.count == 3 && $0.batches >= 1 }
            #expect(try await probe.on { $0.recorder.messages } == ["a=one", "b=", "a=" + large])
            let counters = try await probe.counters()
            #expect(counters.messages == 3 && counters.messageBytes == 1_000_003)
            #expect(counters.commands == 4 && counters.subscriptions == 1 && counters.losses == 0)
            try await probe.shutdown()
            #expect(probe.log.lines.count == 1)
        }
    }

    @Test func `a burst arrives whole and in order, in fewer batches than messages`() async throws {
        let server = try await RedisServer.started()
        let probe = try await BrokerProbe("redis://127.0.0.1:\(server.port)") { $0.maximumPendingCommands = 20_000 }
        try await probe.until("subscribed") { $0.subscribedCount == 1 }
        try await probe.on { parts in
            for number in 0..<20_000 {
                _ = parts.broker.publish(ByteBuffer(string: "\(number)"), to: "flask-socketio")
            }
        }
        try await probe.until("all have come") { $0.messages.count == 20_000 }
        #expect(try await probe.on { $0.recorder.messages } == (0..<20_000).map { "flask-socketio=\($0)" })
        #expect(try await probe.on { $0.recorder.batches } < 10_000)
        try await probe.shutdown()
    }

    @Test func `a key is read from the database of the URL`() async throws {
        let server = try await RedisServer.started()
        try server.command("-n", "2", "SET", "k", "value")
        let probe = try await BrokerProbe("redis://127.0.0.1:\(server.port)/2")
        #expect(try await probe.get("k") == "value")
        #expect(try await probe.get("none") == nil)
        try server.command("-n", "2", "LPUSH", "list", "x")
        let error = await #expect(throws: RedisError.self) { try await probe.get("list") }
        #expect(error?.description.hasPrefix("Redis refused GET: WRONGTYPE") == true)
        try await probe.shutdown()
    }

    @Test func `a killed server is noticed at once and a new one is subscribed again`() async throws {
        let server = try await RedisServer.started()
        let probe = try await BrokerProbe("redis://127.0.0.1:\(server.port)")
        try await probe.until("subscribed") { $0.subscribedCount == 1 }
        #expect(try await probe.publish("before") == 1)
        try await probe.until("the first has come") { $0.messages.count == 1 }

        server.kill9()
        try await probe.until("lost") { $0.causes.count == 1 }
        await #expect(throws: RedisError.self) { try await probe.publish("meanwhile") }
        await #expect(throws: RedisError.self) { try await probe.get("k") }
        try await server.start()
        try await probe.until("subscribed again") { $0.subscribedCount == 2 }
        while (try? await probe.publish("after")) != 1 { try server.command("PING") }
        try await probe.until("the next has come") { $0.messages.contains("flask-socketio=after") }
        #expect(try await probe.on { $0.recorder.causes.count } == 1)
        let counters = try await probe.counters()
        #expect(counters.subscriptions == 2 && counters.losses == 1)
        try await probe.shutdown()
        #expect(probe.log.lines.map { $0.prefix(6) } == ["info C", "warnin", "notice"])
    }

    @Test func `a server that starts later is said to be away once and then found`() async throws {
        let server = try RedisServer()
        let probe = try await BrokerProbe("redis://127.0.0.1:\(server.port)")
        try await probe.until("lost") { $0.causes == [.unreachable(reason: "Connection refused")] }
        await #expect(throws: RedisError.self) { try await probe.get("k") }
        try await server.start()
        try await probe.until("subscribed") { $0.subscribedCount == 1 }
        #expect(try await probe.on { $0.recorder.states.count } == 2)
        try await probe.shutdown()
        #expect(probe.log.lines.count { $0.hasPrefix("warning") } == 1)
        #expect(probe.log.lines.first?.contains("Connection refused") == true)
    }

    @Test func `commands work as soon as the subscription is back, however long the backoff`() async throws {
        let server = try await RedisServer.started()
        let probe = try await BrokerProbe("redis://127.0.0.1:\(server.port)") { $0.backoff.maximum = .seconds(3_600) }
        try await probe.until("subscribed") { $0.subscribedCount == 1 }
        server.kill9()
        try await probe.until("lost") { $0.causes.count == 1 }
        try await server.start()
        try await probe.until("subscribed again") { $0.subscribedCount == 2 }
        #expect(try await probe.get("k") == nil)
        try await probe.shutdown()
    }

    @Test func `a missing unix socket is retried too`() async throws {
        let server = try RedisServer()
        let probe = try await BrokerProbe("unix://\(server.socket)")
        try await probe.until("lost") { $0.causes == [.unreachable(reason: "No such file or directory")] }
        try await server.start()
        try await probe.until("subscribed") { $0.subscribedCount == 1 }
        try await probe.shutdown()
    }

    @Test func `a password and an ACL user are let in, a wrong one is reported without showing it`() async throws {
        let server = try await RedisServer.started(options: ["--requirepass", "top/s3cret"])
        try server.command(
            "-a", "top/s3cret", "ACL", "SETUSER", "me", "on", ">my@s3cret", "allcommands", "allchannels", "allkeys")
        for login in [":top%2Fs3cret", "default:top%2Fs3cret", "me:my@s3cret"] {
            let probe = try await BrokerProbe("redis://\(login)@127.0.0.1:\(server.port)")
            try await probe.until("subscribed") { $0.subscribedCount == 1 }
            #expect(try await probe.publish("x") == 1)
            try await probe.shutdown()
        }
        for (login, text) in [
            (":wr0ng-s3cret@", "Redis refused AUTH: WRONGPASS"), ("me:wr0ng-s3cret@", "Redis refused AUTH: WRONGPASS"),
            ("", "Redis refused SUBSCRIBE: NOAUTH"),
        ] {
            let probe = try await BrokerProbe("redis://\(login)127.0.0.1:\(server.port)")
            try await probe.until("refused") { $0.causes.count == 1 }
            #expect(try await probe.on { $0.recorder.causes[0].description }.hasPrefix(text))
            try await probe.shutdown()
            #expect(probe.log.lines.contains { $0.contains(text) })
            #expect(!probe.log.lines.contains { $0.contains("s3cret") })
        }
    }

    @Test func `a login that is fixed on the server works without a restart`() async throws {
        let server = try await RedisServer.started(options: ["--requirepass", "old"])
        let probe = try await BrokerProbe("redis://:new@127.0.0.1:\(server.port)")
        try await probe.until("refused") { $0.causes.count == 1 }
        try server.command("-a", "old", "CONFIG", "SET", "requirepass", "new")
        try await probe.until("subscribed") { $0.subscribedCount == 1 }
        try await probe.shutdown()
    }

    @Test func `an ACL of pub/sub and GET is enough`() async throws {
        let server = try await RedisServer.started()
        try server.command("ACL", "SETUSER", "me", "on", ">pw", "+@pubsub", "+get", "allchannels", "allkeys")
        let probe = try await BrokerProbe("redis://me:pw@127.0.0.1:\(server.port)") {
            $0.pingInterval = .milliseconds(20)
            $0.pingTimeout = .milliseconds(300)
        }
        try await probe.until("subscribed") { $0.subscribedCount == 1 }
        #expect(try await probe.get("k") == nil)
        while try server.rejectedPingCount() < 4 {}
        #expect(try await probe.publish("x") == 1)
        #expect(try await probe.counters().connectionAttempts == 2)
        try await probe.shutdown()
    }

    @Test func `an ACL user without the right to subscribe gets the line to paste`() async throws {
        let server = try await RedisServer.started()
        try server.command("ACL", "SETUSER", "me", "on", ">pw", "allcommands", "resetchannels")
        let probe = try await BrokerProbe("redis://me:pw@127.0.0.1:\(server.port)")
        try await probe.until("refused") { $0.causes.count == 1 }
        let cause = try await probe.on { $0.recorder.causes[0].description }
        #expect(cause.hasPrefix("Redis refused SUBSCRIBE: NOPERM"))
        let line = try #require(cause.range(of: "redis-cli ").map { cause[$0.upperBound...] })
        #expect(line == "ACL SETUSER me '&flask-socketio' +@pubsub +ping")
        try server.command("ACL", "SETUSER", "me", "&flask-socketio", "+@pubsub", "+ping")
        try await probe.until("subscribed") { $0.subscribedCount == 1 }
        try await probe.shutdown()
    }

    @Test func `publishing and reading without the right to fails with the line to paste`() async throws {
        let server = try await RedisServer.started()
        try server.command(
            "ACL", "SETUSER", "me", "on", ">pw", "+subscribe", "+ping", "resetchannels", "&flask-socketio")
        let probe = try await BrokerProbe("redis://me:pw@127.0.0.1:\(server.port)")
        try await probe.until("subscribed") { $0.subscribedCount == 1 }
        var error = await #expect(throws: RedisError.self) { try await probe.publish("x") }
        #expect(error?.description.hasSuffix("ACL SETUSER me '&flask-socketio' +@pubsub +ping") == true)
        error = await #expect(throws: RedisError.self) { try await probe.get("ws-emit::secret::x") }
        #expect(error?.description.hasSuffix("ACL SETUSER me '~ws-emit::*' +get +getrange") == true)
        try server.command("ACL", "SETUSER", "me", "&flask-socketio", "+@pubsub", "~ws-emit::*", "+get", "+getrange")
        #expect(try await probe.publish("x") == 1)
        #expect(try await probe.get("ws-emit::secret::x") == nil)
        try await probe.shutdown()
    }

    @Test func `a script gets keys and arguments of any bytes, and its texts come back`() async throws {
        let server = try await RedisServer.started()
        let probe = try await BrokerProbe("redis://127.0.0.1:\(server.port)")
        let bytes: [UInt8] = [0, 13, 10, 255, 36]
        let texts = try await probe.evaluate(
            "redis.call('SET', KEYS[1], ARGV[1]) return {redis.call('GET', KEYS[1]), ARGV[2]}",
            keys: [bytes], arguments: [bytes, []])
        #expect(texts == [bytes, []])
        #expect(try await probe.evaluate("return {}", keys: [], arguments: []) == [])
        let error = await #expect(throws: RedisError.self) {
            try await probe.evaluate("return redis.call('HGET', KEYS[1], 'x')", keys: [bytes], arguments: [])
        }
        #expect(error?.description.contains("WRONGTYPE") == true)
        try await probe.shutdown()
    }

    @Test(arguments: ["+ping", "+eval", "+eval +get ~{ws-emit:kept:*"])
    func `a script without all of its rights fails with the line to paste`(rights: String) async throws {
        let server = try await RedisServer.started()
        try server.command("ACL", "SETUSER", "me", "on", ">pw")
        for right in rights.split(separator: " ") { try server.command("ACL", "SETUSER", "me", String(right)) }
        let probe = try await BrokerProbe("redis://me:pw@127.0.0.1:\(server.port)", channels: [])
        let error = await #expect(throws: RedisError.self) {
            try await probe.evaluate(
                "return {redis.call('HGET', KEYS[1], 'x')}", keys: [Array("{ws-emit:kept:c}".utf8)], arguments: [])
        }
        #expect(error?.description.contains("ACL SETUSER me '~{ws-emit:kept:*' +eval +exists +get") == true)
        try await probe.shutdown()
    }

    @Test func `of a large value only the beginning is read`() async throws {
        let server = try await RedisServer.started()
        try server.command("EVAL", "redis.call('SET', 'k', string.rep('x', 100000000))", "0")
        let probe = try await BrokerProbe("redis://127.0.0.1:\(server.port)")
        #expect(try await probe.get("k")?.utf8.count == 1 << 16)
        #expect(try await probe.counters().oversizeReplies == 0)
        try await probe.shutdown()
    }

    @Test func `an outage is reported with its present cause until it is over`() async throws {
        let server = try await RedisServer.started(options: ["--requirepass", "geheim"])
        let probe = try await BrokerProbe("redis://127.0.0.1:\(server.port)")
        let log = probe.log
        try await probe.until("refused") { $0.outages.last??.cause.description.contains("NOAUTH") == true }
        server.kill9()
        try await probe.until("unreachable") { $0.outages.last??.cause == .unreachable(reason: "Connection refused") }
        try await probe.until("that is logged") { _ in log.lines.contains { $0.contains("Connection refused") } }
        try await server.start()
        try await probe.until("refused again") { $0.outages.last??.cause.description.contains("NOAUTH") == true }
        try server.command("-a", "geheim", "CONFIG", "SET", "requirepass", "")
        try await probe.until("over") { $0.outages.last == .some(nil) }
        #expect(try await probe.on { Set($0.recorder.outages.compactMap { $0?.since }).count } == 1)
        try await probe.shutdown()
        // Once for SUBSCRIBE and once for PING, however often each was refused.
        #expect(log.lines.count { $0.contains("NOAUTH") } <= 2)
        #expect(log.lines.count { $0.contains("Connection refused") } == 1)
        #expect(log.lines.allSatisfy { !$0.hasPrefix("warning") || $0.contains("away_seconds=") })
    }

    @Test func `a stopped server is noticed by the PING deadline and found when it goes on`() async throws {
        let server = try await RedisServer.started()
        let probe = try await BrokerProbe("redis://127.0.0.1:\(server.port)") {
            $0.pingInterval = .milliseconds(100)
            $0.pingTimeout = .milliseconds(200)
            $0.connectTimeout = .milliseconds(500)
            $0.commandTimeout = .milliseconds(150)
        }
        try await probe.until("subscribed") { $0.subscribedCount == 1 }
        #expect(try await probe.publish("before") == 1)
        server.send(SIGSTOP)
        let error = await #expect(throws: RedisError.self) { try await probe.get("k") }
        #expect(error == .commandTimedOut || error == .silent)
        try await probe.until("lost") { $0.causes == [.silent] }
        server.send(SIGCONT)
        try await probe.until("subscribed again") { $0.subscribedCount == 2 }
        while (try? await probe.publish("after")) != 1 { try server.command("PING") }
        try await probe.until("the next has come") { $0.messages.contains("flask-socketio=after") }
        #expect(try await probe.counters().silentPeers >= 1)
        try await probe.shutdown()
    }

    @Test func `a connection cut by the server comes back`() async throws {
        let server = try await RedisServer.started()
        let probe = try await BrokerProbe("redis://127.0.0.1:\(server.port)")
        for count in 1...3 {
            try await probe.until("subscribed") { $0.subscribedCount == count }
            try server.command("CLIENT", "KILL", "TYPE", "pubsub")
            try await probe.until("lost") { $0.causes.count == count }
        }
        try await probe.until("subscribed") { $0.subscribedCount == 4 }
        try await probe.shutdown()
    }

    @Test func `a message over the limit costs the connection, is counted and named`() async throws {
        let server = try await RedisServer.started()
        let probe = try await BrokerProbe("redis://127.0.0.1:\(server.port)") { $0.maximumReplyBytes = 100_000 }
        try await probe.until("subscribed") { $0.subscribedCount == 1 }
        _ = try await probe.publish(String(repeating: "x", count: 200_000))
        try await probe.until("dropped") { $0.causes == [.replyTooLarge(limit: 100_000)] }
        try await probe.until("subscribed again") { $0.subscribedCount == 2 }
        #expect(try await probe.publish("small") == 1)
        try await probe.until("the next has come") { $0.messages == ["flask-socketio=small"] }
        #expect(try await probe.counters().oversizeReplies == 1)
        try await probe.shutdown()
        #expect(probe.log.lines.contains { $0.contains("exceeds the limit of 100000 bytes") })
    }

    @Test func `nothing stays in memory after shutdown, connected or not`() async throws {
        let server = try await RedisServer.started()
        let absent = try RedisServer()
        for port in [server.port, absent.port] {
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let url = try RedisURL("redis://127.0.0.1:\(port)")
            let probe = try await loop.flatSubmit {
                let changed = loop.makePromise(of: Void.self)
                let delegate = FirstChange(changed)
                let broker = RedisBroker(
                    url: url, channels: ["c"], eventLoop: loop, logger: Logger(label: "test") { _ in CapturingLog() })
                broker.start(delegate: delegate)
                let weakly = NIOLoopBound(Weakly(broker, delegate), eventLoop: loop)
                let strongly = NIOLoopBound(broker, eventLoop: loop)
                return changed.futureResult.flatMap { strongly.value.shutdown() }.map { weakly }
            }.get()
            // One turn later the channels' handlers are gone too.
            let remains = try await loop.submit { probe.value.broker != nil || probe.value.delegate != nil }.get()
            #expect(!remains)
        }
    }

    /// Tells of the first change of a subscription.
    private final class FirstChange: PubSubDelegate {
        private var changed: EventLoopPromise<Void>?
        init(_ changed: EventLoopPromise<Void>) { self.changed = changed }
        func received(_ payload: Span<UInt8>, on redisChannel: Span<UInt8>) {}
        func receivedBatch() {}
        func subscriptionChanged(_ state: SubscriptionState) {
            changed?.succeed()
            changed = nil
        }
    }

    private struct Weakly {
        weak var broker: RedisBroker?
        weak var delegate: FirstChange?
        init(_ broker: RedisBroker, _ delegate: FirstChange) { (self.broker, self.delegate) = (broker, delegate) }
    }

    @Test func `after shutdown everything fails at once and nothing reconnects`() async throws {
        let server = try await RedisServer.started()
        let probe = try await BrokerProbe("redis://127.0.0.1:\(server.port)")
        try await probe.until("subscribed") { $0.subscribedCount == 1 }
        let waiting = try await probe.on { parts in
            let waiting = parts.broker.get(Array("k".utf8), upTo: 9)
            _ = parts.broker.shutdown()
            return (waiting, parts.broker.publish(ByteBuffer(), to: "c"))
        }
        await #expect(throws: RedisError.shutDown) { try await waiting.0.get() }
        await #expect(throws: RedisError.shutDown) { try await waiting.1.get() }
        #expect(try await probe.on { $0.recorder.states } == [.subscribed])
        try await probe.shutdown()
    }
}

extension RedisServer {
    /// The PINGs that an ACL did not permit.
    func rejectedPingCount() throws -> Int {
        let line = try command("INFO", "commandstats").split(whereSeparator: \.isNewline).first {
            $0.hasPrefix("cmdstat_ping:")
        }
        guard let line, let start = line.range(of: "rejected_calls=")?.upperBound else { return 0 }
        return Int(line[start...].prefix { $0.isNumber }) ?? 0
    }
}
