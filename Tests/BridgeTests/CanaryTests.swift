import NIOCore
import Testing

@testable import Bridge

@Suite struct CanaryTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test func `a canary is home when every event loop has answered`() {
        var canary = Canary(loopCount: 2, firstID: 10)
        let id = canary.send(at: Self.start)
        #expect(id == 11)
        let isAwaited = canary.arrived(id) != nil
        #expect(isAwaited)
        let answers = [1, 1, 0, 0].map { canary.reached(id, loop: $0)?.sentAt }
        #expect(answers == [nil, nil, Self.start, nil], "the last loop, once only")
    }

    @Test func `what was not sent does not count`() {
        var canary = Canary(loopCount: 1, firstID: 10)
        let id = canary.send(at: Self.start)
        let others = [id + 1, id - 1].map { canary.arrived($0)?.id } + [canary.reached(99, loop: 0)?.id]
        #expect(others == [nil, nil, nil])
    }

    @Test func `a later one gives up those before it, and a late one is still welcome`() {
        var canary = Canary(loopCount: 1, firstID: 0)
        let ids = (0..<3).map { _ in canary.send(at: Self.start) }
        let arrived = [1, 0, 2].map { canary.arrived(ids[$0])?.id }
        #expect(arrived == [ids[1], nil, ids[2]])
    }

    @Test func `canaries of a dead channel don't pile up`() {
        var canary = Canary(loopCount: 1, firstID: 0)
        for _ in 0..<1000 { _ = canary.send(at: Self.start) }
        #expect(canary.underWay.count <= 16)
        canary.removeAll()
        #expect(canary.underWay.isEmpty)
    }
}
