import Bytes
import Logging
import PubSubMessages
import Testing

@testable import Bridge

@Suite struct MessageRefusalLogTests {
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

    private static func refuse(_ payload: String, in log: inout MessageRefusalLog) {
        let decoder = PubSubMessageDecoder(hostID: "us")
        Array(payload.utf8).withUnsafeBytes { bytes in
            do throws(PubSubMessageError) {
                _ = try decoder.decode(bytes)
                Issue.record("\(payload) was accepted")
            } catch {
                let redisChannel = Array("channel".utf8)
                log.log(error, redisChannel: redisChannel.span)
            }
        }
    }

    @Test func `each sender's mistake is explained once`() {
        let lines = Lines()
        var log = MessageRefusalLog(logger: Logger(label: "test") { _ in Recorder(lines: lines) })
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
        var log = MessageRefusalLog(logger: Logger(label: "test") { _ in Recorder(lines: lines) })
        for number in 0..<1025 { Self.refuse(#"{"method":"emit","data":1,"host_id":"h\#(number)"}"#, in: &log) }
        #expect(lines.all.count == 1025)
        Self.refuse(#"{"method":"emit","data":1,"host_id":"h0"}"#, in: &log)
        #expect(lines.all.count == 1026, "forgotten with the others")
    }

    @Test func `a line holds nothing that a sender could forge with`() {
        let lines = Lines()
        var log = MessageRefusalLog(logger: Logger(label: "test") { _ in Recorder(lines: lines) })
        Self.refuse(
            #"{"method":"emit","event":1,"host_id":"a\n2026-11-28 error forged \u001b[31m\u202e\u2028\u009b\ud800","me\nssage":1}"#,
            in: &log)
        let line = lines.all.first ?? ""
        #expect(line.contains(#"a\n2026-11-28 error forged \x1b[31m\u202e\u2028\x9b\ud800"#), "\(line)")
        #expect(line.contains("without the key data, and with me\\nssage, which no receiver knows"), "\(line)")
        #expect(line.unicodeScalars.allSatisfy { PrintableText.isPrintable($0.value) })
    }

    @Test func `an event with too many attachments is named once with their number`() {
        let lines = Lines()
        var log = MessageRefusalLog(logger: Logger(label: "test") { _ in Recorder(lines: lines) })
        var mistakes = SenderMistakes()
        mistakes.insert(.manyAttachments)
        for count in [11, 12] {
            log.log(mistakes, of: "h", redisChannel: Span(), attachmentCount: count)
        }
        #expect(lines.all.count == 1 && lines.all[0].contains("11"), "\(lines.all)")
    }

    @Test func `a message for a room that is not text isn't called delivered`() {
        let lines = Lines()
        var log = MessageRefusalLog(logger: Logger(label: "test") { _ in Recorder(lines: lines) })
        for mistake in [SenderMistake.roomNotText, .namespaceMissing] {
            var mistakes = SenderMistakes()
            mistakes.insert(mistake)
            log.log(mistakes, of: nil, redisChannel: Span())
        }
        #expect(lines.all.count == 2 && lines.all.allSatisfy { $0.contains(": none") })
        #expect(lines.all[0].contains("reaches nobody") && lines.all[1].contains("delivered as intended"))
    }
}
