import Bytes
import Testing

@testable import Bridge

@Suite struct RoomInterestTests {
    @Test func `a loop is interested from a room's birth to its death`() {
        var interest = RoomInterest(loopCount: 3)
        #expect(!interest.isInterested(loop: 1, namespace: "/", room: "r"))
        interest.add(1, namespace: "/", room: "r", loop: 1)
        #expect(interest.isInterested(loop: 1, namespace: "/", room: "r"))
        #expect(!interest.isInterested(loop: 0, namespace: "/", room: "r"))
        #expect(!interest.isInterested(loop: 1, namespace: "/a", room: "r"))
        #expect(!interest.isInterested(loop: 1, namespace: "/", room: nil))
        interest.add(-1, namespace: "/", room: "r", loop: 1)
        #expect(!interest.isInterested(loop: 1, namespace: "/", room: "r"))
    }

    @Test func `an expected birth counts until it is taken back, in either order`() {
        var interest = RoomInterest(loopCount: 1)
        interest.add(1, namespace: "/", room: "r", loop: 0)  // expected
        interest.add(1, namespace: "/", room: "r", loop: 0)  // born
        interest.add(-1, namespace: "/", room: "r", loop: 0)  // performed
        #expect(interest.isInterested(loop: 0, namespace: "/", room: "r"))
        interest.add(-1, namespace: "/", room: "r", loop: 0)
        #expect(!interest.isInterested(loop: 0, namespace: "/", room: "r"))
        interest.add(-1, namespace: "/", room: "r", loop: 0)
        interest.add(1, namespace: "/", room: "r", loop: 0)
        #expect(!interest.isInterested(loop: 0, namespace: "/", room: "r"))
    }
}
