import JSONCodec
import Logging
import PubSubMessages
import Testing

@testable import Bridge

@Suite struct RefusalLogTests {
    /// Keeps what is logged.
    final class Lines: @unchecked Sendable {  // used by one test, on one thread
        var all: [String] = []
    }

    struct Recorder: LogHandler {
        let lines: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.all.append("\(event.level) \(event.message) \(event.metadata ?? [:])")
        }
    }

    private static func refuse(_ payload: String, in log: inout RefusalLog) {
        let decoder = PubSubMessageDecoder(hostID: "us")
        Array(payload.utf8).withUnsafeBytes { bytes in
            do throws(PubSubMessageError) {
                _ = try decoder.decode(bytes)
                Issue.record("\(payload) was accepted")
            } catch {
                Array("channel".utf8).withUnsafeBytes { log.log(error, redisChannel: $0) }
            }
        }
    }

    @Test func `each sender's mistake is explained once`() {
        let lines = Lines()
        var log = RefusalLog(logger: Logger(label: "test") { _ in Recorder(lines: lines) })
        for _ in 0..<10 { Self.refuse(#"{"method":"emit","data":1,"host_id":"h1"}"#, in: &log) }
        #expect(lines.all.count == 1)
        #expect(lines.all.first?.contains("h1") == true && lines.all.first?.contains("channel") == true)
        Self.refuse(#"{"method":"emit","data":1,"host_id":"h2"}"#, in: &log)
        #expect(lines.all.count == 2, "another sender")
        Self.refuse("nonsense", in: &log)
        #expect(lines.all.count == 3, "another cause")
    }

    @Test func `a flood of senders doesn't fill memory`() {
        let lines = Lines()
        var log = RefusalLog(logger: Logger(label: "test") { _ in Recorder(lines: lines) })
        for number in 0..<1025 { Self.refuse(#"{"method":"emit","data":1,"host_id":"h\#(number)"}"#, in: &log) }
        #expect(lines.all.count == 1025)
        Self.refuse(#"{"method":"emit","data":1,"host_id":"h0"}"#, in: &log)
        #expect(lines.all.count == 1026, "forgotten with the others")
    }
}
