import NIOCore
import NIOEmbedded
import Testing

@testable import RedisPubSub

@Suite struct RedisConnectionStateTests {
    private let loop = EmbeddedEventLoop()
    private static let start = NIODeadline.uptimeNanoseconds(1_000)

    private static func connected(_ url: String = "redis://h", channels: [String] = []) throws -> RedisConnectionState {
        var state = RedisConnectionState(
            channels: channels, patterns: [], url: try RedisURL(url), configuration: RedisConfiguration())
        guard case .write = state.connected(at: start) else { throw RedisError.notConnected }
        return state
    }

    /// The command and the promise of its reply.
    private func get() -> (RedisPendingCommands.Command, EventLoopFuture<ByteBuffer?>) {
        let promise = loop.makePromise(of: RedisReply.self)
        return (.query(.get, promise), promise.futureResult.map { $0.bytes })
    }

    private static func text(_ action: RedisConnectionState.Action) -> String {
        switch action {
        case .none: return "none"
        case .write(let bytes): return "write \(String(buffer: bytes))"
        case .becomeReady(let held): return "ready \(String(buffer: held))"
        case .complete: return "complete"
        case .fail(let command, let cause):
            command.fail(cause)
            return "fail"
        case .close(let cause): return "close \(cause)"
        }
    }

    @Test func `commands are held until the handshake is over, and refused after the end`() throws {
        var state = try Self.connected()
        let (first, second) = (get(), get())
        let late = get()
        #expect(Self.text(state.send(first.0, ByteBuffer(string: "1"), deadline: Self.start + .seconds(2))) == "none")
        #expect(Self.text(state.send(second.0, ByteBuffer(string: "2"), deadline: Self.start + .seconds(2))) == "none")
        #expect(Self.text(state.received(.status, from: nil)) == "ready 12")
        #expect(state.pending.nextDeadline == Self.start + .seconds(2))
        for command in state.close() { command.fail(.closedByServer) }
        #expect(Self.text(state.send(late.0, ByteBuffer(string: "3"), deadline: Self.start)) == "fail")
        #expect(throws: RedisError.closedByServer) { try first.1.wait() }
        #expect(throws: RedisError.closedByServer) { try second.1.wait() }
        #expect(throws: RedisError.notConnected) { try late.1.wait() }
    }

    @Test func `a byte of a TLS alert is one during a plain handshake only`() throws {
        var state = try Self.connected()
        var later = state
        #expect(state.isUnanswered && state.received(firstByte: 0x15) == .needsTLS)
        var encrypted = try Self.connected("rediss://h")
        #expect(encrypted.received(firstByte: 0x15) == nil)
        // A message may be cut anywhere, also after a quiet interval.
        #expect(later.received(firstByte: UInt8(ascii: "+")) == nil)
        #expect(Self.text(later.received(.status, from: nil)) == "ready ")
        later.liveness.becameReady(at: Self.start)
        #expect(later.livenessIsDue(at: later.liveness.nextDeadline) == .none)
        #expect(later.received(firstByte: 0x15) == nil && !later.isUnanswered)
    }

    @Test(arguments: [("redis://h", false, RedisError.connectTimedOut), ("rediss://h", true, .connectTimedOut)])
    func `a handshake that takes too long is of TLS if the server sent nothing`(
        _ url: String, _ hasReceived: Bool, _ cause: RedisError
    ) throws {
        var state = try Self.connected(url)
        if hasReceived { _ = state.received(firstByte: 0x16) }
        #expect(state.handshakeTimeout == cause)
        let silent = try Self.connected("rediss://h").handshakeTimeout
        #expect(silent.description.contains("is this its TLS port?"))
    }

    @Test func `a PING on a connection for commands takes its reply from the queue`() throws {
        var state = try Self.connected()
        _ = state.received(.status, from: nil)
        state.liveness.becameReady(at: Self.start)
        #expect(state.livenessIsDue(at: Self.start + .seconds(5)) == .none)
        #expect(state.livenessIsDue(at: Self.start + .seconds(10)) == .sendPing)
        let command = get()
        _ = state.send(command.0, ByteBuffer(), deadline: Self.start + .seconds(20))
        guard case .complete(.ping, .status) = state.received(.status, from: nil) else {
            command.0.fail(.shutDown)
            Issue.record("the first reply is that of PING")
            return
        }
        guard case .complete(let answered, let reply) = state.received(.bulk(ByteBuffer(string: "v")), from: nil) else {
            command.0.fail(.shutDown)
            Issue.record("the second reply is that of GET")
            return
        }
        #expect(answered.complete(with: reply, RedisRights()) == nil)
        #expect(try command.1.wait() == ByteBuffer(string: "v"))
    }

    @Test func `arrays are replies to commands until a subscription waits for its confirmations`() throws {
        var state = try Self.connected(channels: ["c"])
        #expect(state.keepsArrays)
        _ = state.received(.integer(7), from: nil)
        #expect(!state.keepsArrays && state.clientID == 7)
        #expect(Self.text(state.received(.subscribed, from: nil)) == "ready ")
        #expect(Self.text(state.received(.error("NOAUTH x"), from: nil)) == "close Redis refused SUBSCRIBE: NOAUTH x")
    }
}
