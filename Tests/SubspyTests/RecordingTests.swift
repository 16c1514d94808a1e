import Bytes
import Foundation
import Testing

@testable import subspy

@Suite struct RecordingTests {
    private static let header =
        #"{"subspy_recording":1,"start":"2026-01-01T00:00:00.000000Z","start_us":1767225600000000,"channels":["c"],"patterns":[]}"#

    /// What a file with these lines holds, each message as `microseconds channel payload`, and what is said of its damage.
    private func read(_ lines: [String]) throws -> (messages: [String], damage: String?) {
        try read(bytes: Array(lines.map { $0 + "\n" }.joined().utf8))
    }

    private func read(bytes: [UInt8]) throws -> (messages: [String], damage: String?) {
        try withReader(of: bytes) { reader in
            var messages: [String] = []
            while let entry = try reader.next() {
                let payload = String(decoding: entry.payload, as: UTF8.self)
                messages.append("\(entry.microseconds) \(entry.redisChannel.text) \(payload)")
            }
            return (messages, reader.damage?.replacingOccurrences(of: reader.file.path, with: "FILE"))
        }
    }

    private func withReader<Result>(of bytes: [UInt8], _ body: (RecordingReader) throws -> Result) throws -> Result {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("recording-\(UUID())")
        try Data(bytes).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try body(RecordingReader(path: file.path))
    }

    private func line(_ payload: [UInt8], channel: String = "c") -> String {
        var writer = JSONWriter()
        let redisChannel = Array(channel.utf8)
        RecordingFormat.appendMessage(payload.span, on: redisChannel.span, microseconds: 5, to: &writer)
        return writer.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    @Test(
        arguments: [
            ("", #""text":"""#), ("[1]", #""text":"[1]""#), ("a\"b\\c\n", #""text":"a\"b\\c\n""#),
            ("é", #""base64":"w6k=""#),
            ("\u{7F}\u{1}", #""text":"\u007f\u0001""#),
        ])
    func `an ASCII payload is a text, any other base64`(payload: String, key: String) {
        #expect(line(Array(payload.utf8)) == "{\"us\":5,\"channel\":\"c\",\(key)}\n")
    }

    @Test func `every payload and channel comes back byte for byte`() throws {
        let payloads =
            (0..<256).map { [UInt8($0)] } + [Array(0...255), Array("комната".utf8), [], Array(#"{"a":"\\n"}"#.utf8)]
        for channel in ["c", "комната", "a\"b\\"] {
            let lines = Self.header + "\n" + payloads.map { line($0, channel: channel) }.joined()
            try withReader(of: Array(lines.utf8)) { reader in
                for payload in payloads {
                    let entry = try reader.next()
                    #expect(entry?.payload == payload)
                    #expect(entry?.redisChannel.text == channel)
                }
            }
        }
    }

    @Test func `gaps are lines of their own, and no messages`() throws {
        var writer = JSONWriter()
        RecordingFormat.append(.lost("it is \"gone\""), microseconds: 1, to: &writer)
        RecordingFormat.append(.subscribed, microseconds: 2, to: &writer)
        RecordingFormat.append(.cause("restarted"), microseconds: 3, to: &writer)
        let lines = writer.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        #expect(
            lines == """
                {"us":1,"lost":"it is \\"gone\\""}
                {"us":2,"subscribed":true}
                {"us":3,"cause":"restarted"}

                """)
        let (messages, damage) = try read([Self.header, lines + #"{"us":9,"channel":"c","text":"[1]"}"#])
        #expect(messages == ["9 c [1]"])
        #expect(damage == nil)
    }

    @Test func `the time between two headers counts`() throws {
        let later = Self.header.replacingOccurrences(of: "1767225600000000", with: "1767225610000000")
        let (messages, _) = try read([
            Self.header, #"{"us":5,"channel":"c","text":"1"}"#, later, #"{"us":7,"channel":"c","text":"2"}"#,
        ])
        #expect(messages == ["5 c 1", "10000007 c 2"])
    }

    @Test func `time never goes back`() throws {
        let (messages, _) = try read([
            Self.header, #"{"us":50,"channel":"c","text":"1"}"#, Self.header, #"{"us":7,"channel":"c","text":"2"}"#,
            #"{"us":3,"channel":"c","text":"3"}"#,
        ])
        #expect(messages == ["50 c 1", "57 c 2", "57 c 3"])
    }

    @Test func `damaged lines are passed over and told once`() throws {
        let (messages, damage) = try read([
            Self.header, #"{"us":5,"chan"#, #"{"us":6,"channel":"c","text":"1"}"#,
            #"{"us":7,"channel":"c","base64":"?"}"#, "",
        ])
        #expect(messages == ["6 c 1"])
        #expect(damage == "line 2 and 1 more of FILE can't be read and was passed over")
    }

    @Test(arguments: [
        (["[]", "{}"], "is no recording: it has no header"), ([], "is no recording: it has no header"),
        ([#"{"subspy_recording":2}"#], "a recording of format 2, which a newer subspy wrote"),
    ])
    func `other files are refused`(lines: [String], sentence: String) {
        #expect {
            _ = try read(lines)
        } throws: {
            "\($0)".contains(sentence)
        }
    }

    @Test func `messages written by hand need no header`() throws {
        let (messages, _) = try read([
            #"{"message":{"method":"emit","data":[1]}}"#, #"{"us":5,"channel":"x","format":"json","message":[null]}"#,
            #"{"message":{"$tupel":[1]}}"#, #"{"format":"pickle","protocol":0,"message":1}"#,
        ])
        #expect(
            messages == [#"0 flask-socketio {"method": "emit", "data": [1]}"#, "5 x [null]", "5 flask-socketio I1\n."])
    }

    @Test func `compressed data is read up to where it breaks off`() throws {
        let lines = [Self.header] + (0..<200).map { #"{"us":\#($0),"channel":"c","text":"\#($0 * 7919)"}"# }
        var compressed: [UInt8] = []
        let writer = GzipWriter()
        for line in lines {
            Array("\(line)\n".utf8).withUnsafeBytes { writer.write($0, isLast: false) { compressed += Array($0) } }
        }
        let flushed = compressed.count
        [UInt8]().withUnsafeBytes { writer.write($0, isLast: true) { compressed += Array($0) } }
        let whole = try read(bytes: compressed)
        #expect(whole.messages.count == 200)
        #expect(whole.damage == nil)
        let torn = try read(bytes: Array(compressed.prefix(flushed)))
        #expect(torn.messages == whole.messages)
        #expect(torn.damage == "the compressed data of FILE breaks off: what comes before was read")
    }
}

@Suite struct RecordingDifferenceTests {
    @Test(
        arguments: [
            ([], [], [], [], 0, 0), ([1, 2], [1, 2], [], [], 2, 0), ([1, 2, 3], [2], [0, 2], [], 1, 0),
            ([1], [2, 1, 3], [], [0, 2], 1, 0), ([1, 2], [2, 1], [], [], 2, 1),
            ([1, 2, 3, 3], [3, 1, 2, 3], [], [], 4, 1),
            ([1, 1, 1], [1], [1, 2], [], 1, 0),
        ] as [([UInt64], [UInt64], [Int], [Int], Int, Int)])
    func `messages are missing, added, the same or moved`(
        a: [UInt64], b: [UInt64], missing: [Int], added: [Int], common: Int, moved: Int
    ) {
        let difference = RecordingDifference(a, b)
        #expect(difference.missing == missing)
        #expect(difference.added == added)
        #expect(difference.commonCount == common)
        #expect(difference.movedCount == moved)
    }
}
