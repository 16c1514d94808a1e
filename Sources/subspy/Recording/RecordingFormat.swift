import PubSubMessages
import Glibc
import JSONCodec

/// The file of `subspy record`: lines of JSON, so that grep, jq and tail read it too.
///
/// | line | keys |
/// |---|---|
/// | header | `subspy_recording` (1), `start` (UTC, for people), `start_us` (Unix time in microseconds), `channels`, `patterns` |
/// | message | `us` (microseconds since the header, monotonic clock), `channel`, and the payload: `text`, or `base64` when it isn't ASCII |
/// | message of JSON lines | `us`, `channel`, `form` (`json` or `pickle`), `protocol` (of a pickle), `message` (see ``TaggedJSON``) |
/// | gap | `us`, `lost` (why the subscription broke) |
/// | end of a gap | `us`, `subscribed` (true) |
/// | its cause | `us`, `cause` (what Redis, asked afterwards, knows of the gap before) |
///
/// JSON lines are what `subspy convert` makes of a recording; their header's first key is `subspy_messages`.
/// A file may hold several recordings one after the other, each with its header: appending is how a recording goes on.
enum RecordingFormat {
    static let version: Int64 = 1

    static func appendHeader(channels: [String], patterns: [String], to writer: inout JSONWriter) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        writer.append("{\"subspy_recording\":")
        writer.appendInteger(version)
        writer.append(",\"start\":\"")
        for byte in utc(now).utf8 { writer.append(byte) }
        writer.append("\",\"start_us\":")
        writer.appendInteger(Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000)
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

    static func appendLoss(_ cause: String, microseconds: Int64, to writer: inout JSONWriter) {
        appendTime(microseconds, to: &writer)
        writer.append(",\"lost\":")
        append(cause, to: &writer)
        writer.append("}\n")
    }

    static func appendCause(_ cause: String, microseconds: Int64, to writer: inout JSONWriter) {
        appendTime(microseconds, to: &writer)
        writer.append(",\"cause\":")
        append(cause, to: &writer)
        writer.append("}\n")
    }

    static func appendReturn(microseconds: Int64, to writer: inout JSONWriter) {
        appendTime(microseconds, to: &writer)
        writer.append(",\"subscribed\":true}\n")
    }

    private static func appendTime(_ microseconds: Int64, to writer: inout JSONWriter) {
        writer.append("{\"us\":")
        writer.appendInteger(microseconds)
    }

    private static func append(_ text: String, to writer: inout JSONWriter) {
        var text = text
        text.withUTF8 { writer.appendString(wtf8: UnsafeRawBufferPointer($0)) }
    }

    /// `2026-11-23T21:30:00.123456Z`
    private static func utc(_ time: timespec) -> String {
        var seconds = time.tv_sec
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
        }
        let date = [
            padded(Int(parts.tm_year) + 1900, 4), padded(Int(parts.tm_mon) + 1, 2), padded(Int(parts.tm_mday), 2),
        ]
        let clock = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { padded(Int($0), 2) }
        return date.joined(separator: "-") + "T" + clock.joined(separator: ":") + "." + padded(time.tv_nsec / 1000, 6)
            + "Z"
    }
}
