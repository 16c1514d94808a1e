import RedisPubSub
import Testing

@testable import Bridge

@Suite struct SubscriptionGapsTests {
    @Test func `a gap has a start, an end and the first cause`() {
        var gaps = SubscriptionGaps(capacity: 2)
        gaps.begin(from: 100, cause: .closedByServer)
        gaps.begin(from: 150, cause: .silent)
        #expect(gaps.open?.from == 100 && gaps.open?.cause == .closed)
        gaps.end(at: 200)
        #expect(gaps.open == nil && gaps.closed.last?.to == 200)
        gaps.end(at: 300)
        #expect(gaps.closed.map(\.to) == [200])
    }

    @Test func `a clock set back doesn't end a gap before its start`() {
        var gaps = SubscriptionGaps(capacity: 2)
        gaps.begin(from: 100, cause: .silent)
        gaps.end(at: 50)
        #expect(gaps.closed.last?.to == 100)
    }

    @Test func `what Redis said afterwards is the cause of the last one`() {
        var gaps = SubscriptionGaps(capacity: 2)
        for from: Int64 in [100, 200] {
            gaps.begin(from: from, cause: .closedByServer)
            gaps.end(at: from + 1)
        }
        gaps.explain(.killed)
        #expect(gaps.closed.map(\.cause) == [.closed, .killed] && gaps.closed.map(\.from) == [100, 200])
        #expect(gaps.closed[1].detail.contains("CLIENT KILL"))
    }

    @Test func `the oldest is forgotten, and that is counted`() {
        var gaps = SubscriptionGaps(capacity: 2)
        for number: Int64 in 1...3 {
            gaps.begin(from: number * 10, cause: .silent)
            gaps.end(at: number * 10 + 1)
        }
        #expect(gaps.closed.map(\.from) == [20, 30] && gaps.forgotten == 1)
    }

    @Test(arguments: [
        (RedisError.unreachable(reason: "x"), "unreachable"), (.connectTimedOut, "unreachable"),
        (.closedByServer, "closed"), (.broken(reason: "x"), "closed"), (.silent, "silent"),
        (.refused(command: .auth, message: "x"), "refused"), (.replyTooLarge(limit: 1), "reply_too_large"),
        (.queueFull, "other"), (.outputBufferFull(.init()), "output_buffer_full"), (.restarted, "restarted"),
        (.killed, "killed"), (.evicted, "evicted"), (.failedOver(to: "x"), "failed_over"),
        (.noMaster(service: "x"), "no_master"),
        (.tls(reason: "x"), "tls"), (.needsTLS, "tls"),
    ])
    func `causes have fixed names`(error: RedisError, name: String) {
        #expect(SubscriptionGap.Cause(error).rawValue == name)
    }
}
