import Bytes
import Testing

@testable import Bridge

@Suite struct SessionIDTests {
    @Test(arguments: [0, 1, 63, 64, 65, 4094, 4095])
    func `a sid names its loop`(loop: Int) {
        let sid = SessionID.make(loop: loop, instance: .init())
        #expect(sid.count == 20)
        #expect(SessionID.loop(of: sid, loopCount: 4096) == loop)
        #expect(SessionID.loop(of: sid, loopCount: loop) == nil, "a loop that isn't there owns nothing")
        let alphabet = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-".utf8)
        #expect(sid.bytes.allSatisfy(alphabet.contains))
    }

    @Test(arguments: [
        "", "AA", "A23456789012345678", "AA345678901234567é", "AA3456789012345678 9", "AA34567890123456789+",
    ])
    func `what can't be a sid has no loop`(text: String) {
        #expect(SessionID.loop(of: ByteString(text), loopCount: 4096) == nil)
    }

    @Test func `sids don't repeat and use every digit at every place`() {
        var random = SystemRandomBuffer()
        let sids = (0..<5000).map { _ in SessionID.make(loop: 0, instance: .init(value: 5), using: &random) }
        #expect(Set(sids).count == sids.count)
        for place in 4..<20 { #expect(Set(sids.map { $0.bytes[place] }).count == 64) }
    }

    @Test func `a sid of another process is told from one that is unknown`() {
        let (ours, other) = (SessionID.Instance(value: 7), SessionID.Instance(value: 4095))
        let sid = SessionID.make(loop: 70, instance: ours)
        #expect(!SessionID.isForeign(sid, to: ours))
        #expect(SessionID.isForeign(sid, to: other))
        #expect(!SessionID.isForeign("nope", to: ours), "of no process at all")
    }
}
