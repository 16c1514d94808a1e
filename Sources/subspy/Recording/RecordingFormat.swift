import Bytes
import Glibc
import PubSubMessages

/// The file of `subspy record`: lines of JSON, so that grep, jq and tail read it too.
///
/// | line | keys |
/// |---|---|
/// | header | `subspy_recording` (1), `start` (UTC, for people), `start_us` (Unix time in microseconds), `channels`, `patterns` |
/// | message | `us` (microseconds since the header, monotonic clock), `channel`, and the payload: `text`, or `base64` when it isn't ASCII |
/// | message of JSON lines | `us`, `channel`, `format` (`json` or `pickle`), `protocol` (of a pickle), `message` (with the tags of ``JSONText``) |
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
        _ payload: Span<UInt8>, on redisChannel: Span<UInt8>, microseconds: Int64, to writer: inout JSONWriter
    ) {
        appendStart(on: redisChannel, microseconds: microseconds, to: &writer)
        appendPayload(payload, to: &writer)
        writer.append("}\n")
    }

    /// The beginning of a message's line, up to the payload.
    static func appendStart(on redisChannel: Span<UInt8>, microseconds: Int64, to writer: inout JSONWriter) {
        appendTime(microseconds, to: &writer)
        writer.append(",\"channel\":")
        unsafe redisChannel.withUnsafeBytes { unsafe writer.appendString(wtf8: $0) }
    }

    /// A payload's key and value.
    static func appendPayload(_ payload: Span<UInt8>, to writer: inout JSONWriter) {
        unsafe payload.withUnsafeBytes { payload in
            if unsafe WTF8.isASCII(payload) {
                writer.append(",\"text\":")
                unsafe writer.appendString(wtf8: payload)
            } else {
                writer.append(",\"base64\":\"")
                unsafe writer.appendBase64(payload)
                writer.append("\"")
            }
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
        text.withUTF8 { unsafe writer.appendString(wtf8: UnsafeRawBufferPointer($0)) }
    }
}
