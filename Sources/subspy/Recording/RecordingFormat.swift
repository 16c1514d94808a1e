import Bytes
import Glibc
import PubSubMessages

/// The file of `subspy record`: lines of JSON, so that grep, jq and tail read it too.
///
/// | line | keys |
/// |---|---|
/// | header | `subspy_recording` (1), `start` (UTC, for people), `start_us` (Unix time in microseconds), `channels`, `patterns` |
/// | message | `us` (microseconds since the header, monotonic clock), `channel`, and the payload: `text`, or `base64` when it isn't ASCII |
/// | message of JSON lines | `us`, `channel`, `format` (`json` or `pickle`), `protocol` (of a pickle), `message` (see ``TaggedJSON``) |
/// | gap | `us`, `lost` (why the subscription broke) |
/// | end of a gap | `us`, `subscribed` (true) |
/// | its cause | `us`, `cause` (what Redis, asked afterwards, knows of the gap before) |
///
/// JSON lines are what `subspy convert` makes of a recording; their header's first key is `subspy_messages`.
/// A file may hold several recordings one after the other, each with its header: a recording goes on by appending.
enum RecordingFormat {
    static let version: Int64 = 1

    static func appendHeader(channels: [String], patterns: [String], to writer: inout JSONWriter) {
        let now = SystemClock.realtime
        writer.append("{\"subspy_recording\":")
        writer.appendInteger(version)
        writer.append(",\"start\":\"")
        writer.append(utc: now)
        writer.append("\",\"start_us\":")
        writer.appendInteger(now)
        for (key, names) in [("channels", channels), ("patterns", patterns)] as [(StaticString, [String])] {
            writer.append(",")
            writer.appendString(key)
            writer.append(":[")
            for (index, name) in names.enumerated() {
                if index > 0 { writer.append(",") }
                append(name, to: &writer)
            }
            writer.append("]")
        }
        writer.append("}\n")
    }

    static func appendMessage(
        _ payload: UnsafeRawBufferPointer, on redisChannel: UnsafeRawBufferPointer, microseconds: Int64,
        to writer: inout JSONWriter
    ) {
        appendStart(on: redisChannel, microseconds: microseconds, to: &writer)
        appendPayload(payload, to: &writer)
        writer.append("}\n")
    }

    /// The beginning of a message's line, up to the payload.
    static func appendStart(
        on redisChannel: UnsafeRawBufferPointer, microseconds: Int64, to writer: inout JSONWriter
    ) {
        appendTime(microseconds, to: &writer)
        writer.append(",\"channel\":")
        writer.appendString(wtf8: redisChannel)
    }

    /// A payload's key and value.
    static func appendPayload(_ payload: UnsafeRawBufferPointer, to writer: inout JSONWriter) {
        if payload.allSatisfy({ $0 < 0x80 }) {
            writer.append(",\"text\":")
            writer.appendString(wtf8: payload)
        } else {
            writer.append(",\"base64\":\"")
            StrictBase64.append(payload, to: &writer)
            writer.append("\"")
        }
    }

    /// A line about a gap.
    enum GapEvent {
        case lost(String)
        case subscribed
        case cause(String)
    }

    static func append(_ event: GapEvent, microseconds: Int64, to writer: inout JSONWriter) {
        appendTime(microseconds, to: &writer)
        switch event {
        case .lost(let cause):
            writer.append(",\"lost\":")
            append(cause, to: &writer)
        case .subscribed: writer.append(",\"subscribed\":true")
        case .cause(let cause):
            writer.append(",\"cause\":")
            append(cause, to: &writer)
        }
        writer.append("}\n")
    }

    private static func appendTime(_ microseconds: Int64, to writer: inout JSONWriter) {
        writer.append("{\"us\":")
        writer.appendInteger(microseconds)
    }

    private static func append(_ text: String, to writer: inout JSONWriter) {
        var text = text
        text.withUTF8 { writer.appendString(wtf8: UnsafeRawBufferPointer($0)) }
    }
}

/// A message's line as `RecordingFormat` writes it, read without a JSON parser: replaying at full speed is reading lines.
struct RecordedLine {
    let microseconds: Int64
    /// Within the line.
    let redisChannel: UnsafeRawBufferPointer
    let payload: [UInt8]

    /// nil for any other line, which may be a good one all the same.
    init?(_ line: UnsafeRawBufferPointer) {
        var rest = Scanner(bytes: line)
        guard rest.take("{\"us\":"), let time = rest.takeInteger(), rest.take(",\"channel\":\""),
            let channel = rest.takeUnescapedText(), rest.take("\",\"")
        else { return nil }
        microseconds = time
        redisChannel = channel
        let content: [UInt8]?
        if rest.take("base64\":\"") {
            content = rest.takeLast("\"}").flatMap { StrictBase64.decode($0) }
        } else if rest.take("text\":\"") {
            content = rest.takeLast("\"}").flatMap(Self.unescaped)
        } else {
            content = nil
        }
        guard let content else { return nil }
        payload = content
    }

    /// Resolves the short escapes; nil for others, and for what can't stand in a JSON string.
    private static func unescaped(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        var isValid = true
        let bytes = [UInt8](unsafeUninitializedCapacity: text.count) { space, count in
            var index = 0
            while index < text.count {
                var byte = text[index]
                index += 1
                if byte == UInt8(ascii: "\\"), index < text.count {
                    byte = text[index]
                    index += 1
                    switch byte {
                    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): break
                    case UInt8(ascii: "n"): byte = 0x0A
                    case UInt8(ascii: "r"): byte = 0x0D
                    case UInt8(ascii: "t"): byte = 0x09
                    case UInt8(ascii: "b"): byte = 0x08
                    case UInt8(ascii: "f"): byte = 0x0C
                    default: isValid = false
                    }
                } else if byte < 0x20 || byte >= 0x80 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                    isValid = false
                }
                space[count] = byte
                count += 1
            }
        }
        return isValid ? bytes : nil
    }

    /// The rest of the line.
    private struct Scanner {
        let bytes: UnsafeRawBufferPointer
        var position = 0

        mutating func take(_ text: StaticString) -> Bool {
            let count = text.utf8CodeUnitCount
            guard bytes.count - position >= count, let start = bytes.baseAddress,
                memcmp(start + position, text.utf8Start, count) == 0
            else { return false }
            position += count
            return true
        }

        mutating func takeInteger() -> Int64? {
            let start = position
            var number: Int64 = 0
            while position < bytes.count, position - start < 18, case let digit = bytes[position] &- 0x30, digit < 10 {
                number = number * 10 + Int64(digit)
                position += 1
            }
            return position > start ? number : nil
        }

        /// Up to the next quotation mark.
        mutating func takeUnescapedText() -> UnsafeRawBufferPointer? {
            let start = position
            while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
                guard bytes[position] != UInt8(ascii: "\\"), 0x20..<0x80 ~= bytes[position] else { return nil }
                position += 1
            }
            return UnsafeRawBufferPointer(rebasing: bytes[start..<position])
        }

        /// All of the rest, which must end so.
        mutating func takeLast(_ end: StaticString) -> UnsafeRawBufferPointer? {
            let start = position
            position = max(start, bytes.count - end.utf8CodeUnitCount)
            let content = UnsafeRawBufferPointer(rebasing: bytes[start..<position])
            return take(end) ? content : nil
        }
    }
}
