import NIOCore
import Testing

@testable import RedisPubSub

@Suite struct RepeatLimitTests {
    @Test func `the same text is logged once a minute, and another at once`() {
        var limit = RepeatLimit()
        let start = NIODeadline.uptimeNanoseconds(0)
        func isLogged(_ text: String, after seconds: Int64) -> Bool { limit.isDue(text, at: start + .seconds(seconds)) }
        let all = [("a", 0), ("a", 59), ("b", 59), ("a", 60), ("b", 61), ("a", 119), ("a", 120)].map { text, second in
            isLogged(text, after: second)
        }
        #expect(all == [true, false, true, true, false, false, true])
    }

    @Test func `at most 64 texts are logged within a minute`() {
        var limit = RepeatLimit()
        let start = NIODeadline.uptimeNanoseconds(0)
        var count = 0
        for number in 0..<1_000 where limit.isDue("\(number)", at: start) { count += 1 }
        let isLoggedLater = limit.isDue("late", at: start + .seconds(60))
        #expect(count == 64 && isLoggedLater)
    }
}

@Suite struct RedisRightsTests {
    @Test(
        arguments: [
            (
                RedisError.Command.subscribe, "web",
                "; permit it with: redis-cli ACL SETUSER web '&flask-socketio' '&it'\\''s' +@pubsub +ping"
            ),
            (
                .publish, nil,
                "; permit it with: redis-cli ACL SETUSER default '&flask-socketio' '&it'\\''s' +@pubsub +ping"
            ),
            (.get, "a b", "; permit it with: redis-cli ACL SETUSER 'a b' '~ws-emit::*' +get +getrange"),
            (.info, "web", ""),
        ] as [(RedisError.Command, String?, String)])
    func `an error for missing rights has the line to paste`(
        _ command: RedisError.Command, _ user: String?, _ advice: String
    ) {
        let rights = RedisRights(user: user.map { Array($0.utf8) }, channels: ["flask-socketio", "it's"])
        #expect(rights.advice(for: command, refusedWith: "NOPERM No permissions to access a channel") == advice)
        #expect(rights.advice(for: command, refusedWith: "NOAUTH Authentication required.") == "")
    }
}

@Suite struct WallClockTests {
    @Test func `an interval is rounded outwards`() {
        for _ in 0..<1_000 {
            let now = NIODeadline.now()
            let (from, to) = (WallClock.milliseconds(now), WallClock.millisecondsRoundedUp(now))
            #expect(from < to && to - from <= 50)
        }
        let start = NIODeadline.now()
        let millisecond = (0..<1_000).map { WallClock.milliseconds(start + .microseconds($0)) }
        #expect(Set(millisecond).count == 2 && millisecond == millisecond.sorted())
    }
}
