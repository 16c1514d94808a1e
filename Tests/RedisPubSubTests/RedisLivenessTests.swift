import NIOCore
import Testing

@testable import RedisPubSub

/// Time is an argument: all of it in seconds since the connection became ready.
@Suite struct RedisLivenessTests {
    private static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(1_000) + .seconds(seconds) }

    /// PINGs after 5 s without bytes, bounded by 3 s; a subscription sends one each 60 s.
    private static func ready(isSubscription: Bool = false) -> RedisLiveness {
        var liveness = RedisLiveness(
            pingInterval: .seconds(5), pingTimeout: .seconds(3), provingInterval: isSubscription ? .seconds(60) : nil)
        liveness.handshakeBegins(at: at(-1))
        liveness.becameReady(at: at(0))
        return liveness
    }

    /// Lets time pass until `end`, with bytes received at some seconds.
    private static func actions(
        _ liveness: inout RedisLiveness, until end: Int64, receiving: Set<Int64> = []
    ) -> [Int64: RedisLiveness.Action] {
        var actions: [Int64: RedisLiveness.Action] = [:]
        for second in 0...end {
            if receiving.contains(second) { liveness.hasReceived = true }
            while liveness.nextDeadline <= at(second) {
                let action = liveness.deadlineHasPassed(at: at(second))
                if action != .none { actions[second] = action }
                if case .close = action { return actions }
            }
        }
        return actions
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var receiving: Set<Int64> = []
        let actions: [Int64: RedisLiveness.Action]
    }

    static let cases: [Case] = [
        .init(testDescription: "silence", actions: [10: .sendPing, 13: .close(.silent)]),
        .init(testDescription: "a busy connection", receiving: Set(0...40), actions: [:]),
        .init(
            testDescription: "a late reply", receiving: [12],
            actions: [10: .sendPing, 18: .sendPing, 21: .close(.silent)]),
        .init(testDescription: "silence later", receiving: [7], actions: [15: .sendPing, 18: .close(.silent)]),
    ]

    @Test(arguments: cases) func `a quiet peer is sent a PING, and a silent one is left`(_ row: Case) {
        var liveness = Self.ready()
        #expect(Self.actions(&liveness, until: 40, receiving: row.receiving) == row.actions)
    }

    @Test func `a subscription is proven up to the last PING that has a reply`() {
        var liveness = Self.ready(isSubscription: true)
        #expect(liveness.provenUntil == Self.at(-1))
        let all = Set(0...200 as ClosedRange<Int64>)
        #expect(Self.actions(&liveness, until: 60, receiving: all) == [60: .sendPing])
        #expect(liveness.provenUntil == Self.at(-1))
        #expect(liveness.received(.pong, RedisRights()) == nil)
        #expect(liveness.provenUntil == Self.at(60))
        // Only messages from here on: they may have waited long, and a subscription that lags gets no further PING.
        #expect(Self.actions(&liveness, until: 200, receiving: all) == [120: .sendPing])
        #expect(liveness.provenUntil == Self.at(60))
    }

    @Test func `a connection for commands has nothing to prove`() {
        #expect(Self.ready().provenUntil == nil)
    }

    static let replies: [(RedisReply, RedisError?, RedisError?)] = [
        (.pong, nil, nil), (.subscribed, nil, nil), (.status, nil, .unexpectedReply), (.null, nil, .unexpectedReply),
        (.array, nil, .unexpectedReply), (.bulk(ByteBuffer()), nil, .unexpectedReply),
        (
            .error("ERR unknown command 'PING'"), nil,
            .refused(command: .subscribe, message: "ERR unknown command 'PING'")
        ),
        (
            .error("NOAUTH x"), .refused(command: .subscribe, message: "NOAUTH x"),
            .refused(command: .subscribe, message: "NOAUTH x")
        ),
    ]

    @Test(arguments: replies) func `a reply that a PING may have is an error only when none was sent`(
        _ reply: RedisReply, _ afterPing: RedisError?, _ unasked: RedisError?
    ) {
        var liveness = Self.ready(isSubscription: true)
        #expect(liveness.received(reply, RedisRights()) == unasked)
        #expect(liveness.deadlineHasPassed(at: Self.at(60)) == .sendPing)
        #expect(liveness.received(reply, RedisRights()) == afterPing)
        #expect((liveness.provenUntil == Self.at(60)) == (afterPing == nil && reply != .subscribed))
    }
}
