import NIOCore
import Testing

@testable import subspy

@Suite struct ReplayPaceTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    /// Milliseconds after the start at which messages recorded at these milliseconds are due.
    private func due(_ pace: ReplayPace, recorded: [Int64], delayAfterFirst: Int64 = 0) throws -> [Int64] {
        var now = start
        var rest = recorded[...]
        var times: [Int64] = []
        pace.start(at: now)
        while true {
            let step = try pace.next(at: now) { () throws(RecordingReader.Failure) in
                rest.popFirst().map { ReplayEntries.Entry(microseconds: $0 * 1000, redisChannel: "c", payload: []) }
            }
            switch step {
            case .due:
                times.append((now - start).nanoseconds / 1_000_000)
                if times.count == 1 { pace.delay(by: .milliseconds(delayAfterFirst)) }
            case .later(let time):
                #expect(time > now)
                now = time
            case .end: return times
            }
        }
    }

    @Test(
        arguments: [
            (.factor(1), nil, [0, 100, 150, 10_000]), (.factor(0.5), nil, [0, 200, 300, 20_000]),
            (.factor(4), nil, [0, 25, 37, 2_500]), (.maximum, nil, [0, 0, 0, 0]), (.factor(1), 20, [0, 50, 100, 150]),
        ] as [(ReplaySpeed, Double?, [Int64])])
    func `messages are due by the recorded times, the speed or the rate`(
        speed: ReplaySpeed, rate: Double?, expected: [Int64]
    ) throws {
        #expect(try due(ReplayPace(speed: speed, rate: rate), recorded: [0, 100, 150, 10_000]) == expected)
    }

    @Test func `everything after an outage comes later by its length`() throws {
        let times = try due(ReplayPace(speed: .factor(1), rate: nil), recorded: [0, 100, 150], delayAfterFirst: 500)
        #expect(times == [0, 600, 650])
    }

    @Test(arguments: ["2x", "0.5x", "3", "max"])
    func `speeds are factors or max`(argument: String) throws { _ = try ReplaySpeed(argument: argument) }

    @Test(arguments: ["fast", "0", "-1x", "x", "infx", ""])
    func `wrong speeds are refused`(argument: String) {
        #expect(throws: (any Error).self) { try ReplaySpeed(argument: argument) }
    }

    @Test(arguments: [("100/s", 100), ("0.5", 0.5)])
    func `rates are messages a second`(argument: String, rate: Double) throws {
        #expect(try ReplaySpeed.rate(argument) == rate)
    }
}
