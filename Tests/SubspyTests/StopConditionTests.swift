import Bytes
import NIOCore
import NIOEmbedded
import PubSubMessages
import Testing

@testable import subspy

@Suite struct StopConditionTests {
    /// A run whose clock stands still until it is told to advance, and the codes that it was stopped with.
    private final class Harness {
        let loop = EmbeddedEventLoop()
        let run: RunLoop
        let condition: StopCondition
        private let codes: Codes

        private final class Codes { var all: [Int32] = [] }

        init(_ arguments: [String]) throws {
            run = RunLoop(loop)
            let codes = Codes()
            self.codes = codes
            condition = StopCondition(try StopOptions.parse(arguments), run: run) { codes.all.append($0) }
        }

        var stopped: Int32? { codes.all.first }

        func show(_ event: StaticString?) {
            var summary = MessageSummary()
            summary.event = event.map { ByteString(stringLiteral: $0) }
            condition.shown(summary)
        }
    }

    @Test func `a count ends with 0`() throws {
        let harness = try Harness(["--count", "2"])
        harness.show("a")
        #expect(harness.stopped == nil)
        harness.show(nil)
        #expect(harness.stopped == 0)
    }

    @Test(arguments: [(["--until", "rea*"], 0), (["--until", "x", "--count", "2"], 1)] as [([String], Int32)])
    func `an event ends with 0, a count without the event with 1`(arguments: [String], code: Int32) throws {
        let harness = try Harness(arguments)
        harness.show("other")
        #expect(harness.stopped == nil)
        harness.show("ready")
        #expect(harness.stopped == code)
    }

    @Test(
        arguments: [
            (["--duration", "5s"], 0), (["--duration", "5s", "--count", "1"], 1),
            (["--duration", "5s", "--until", "x"], 1),
            (["--idle", "5s"], 0), (["--idle", "5s", "--until", "x"], 1),
        ] as [([String], Int32)])
    func `time ends with 0, or with 1 when something is still waited for`(arguments: [String], code: Int32) throws {
        let harness = try Harness(arguments)
        harness.loop.advanceTime(by: .seconds(60))
        #expect(harness.stopped == nil, "time before the subscription doesn't count")
        harness.condition.subscribed()
        harness.condition.subscribed()
        harness.loop.advanceTime(by: .milliseconds(4_999))
        #expect(harness.stopped == nil)
        harness.loop.advanceTime(by: .milliseconds(1))
        #expect(harness.stopped == code)
    }

    @Test func `each message puts off the end by idleness`() throws {
        let harness = try Harness(["--idle", "5s"])
        harness.condition.subscribed()
        for _ in 0..<5 {
            harness.loop.advanceTime(by: .seconds(4))
            harness.show(nil)
        }
        harness.loop.advanceTime(by: .milliseconds(4_999))
        #expect(harness.stopped == nil)
        harness.loop.advanceTime(by: .milliseconds(1))
        #expect(harness.stopped == 0)
    }

    @Test(
        arguments: [([], 0), (["--duration", "1s"], 0), (["--count", "1"], 130), (["--until", "x"], 130)]
            as [([String], Int32)])
    func `an interrupt ends with 130 when something is still waited for`(arguments: [String], code: Int32) throws {
        let harness = try Harness(arguments)
        harness.run.interrupted()
        #expect(harness.stopped == code)
    }
}
