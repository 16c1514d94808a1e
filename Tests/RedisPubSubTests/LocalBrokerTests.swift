import NIOCore
import NIOEmbedded
import RedisPubSub
import Testing

@Suite struct LocalBrokerTests {
    @Test func `publishing reaches nobody and keys come from the table`() throws {
        let loop = EmbeddedEventLoop()
        let broker = LocalBroker(eventLoop: loop, values: [Array("a".utf8): Array("1".utf8)])
        #expect(try broker.publish(ByteBuffer(string: "x"), to: "c").wait() == 0)
        #expect(try broker.get(Array("a".utf8), upTo: 9).wait() == ByteBuffer(string: "1"))
        #expect(try broker.get(Array("b".utf8), upTo: 9).wait() == nil)
        try broker.shutdown().wait()
        #expect(throws: RedisError.shutDown) { try broker.publish(ByteBuffer(), to: "c").wait() }
    }
}
