import Glibc
import JSONCodec

/// The file of `subspy record`: lines of JSON, so that grep, jq and tail read it too.
///
/// | line | keys |
/// |---|---|
/// | header | `subspy_recording` (1), `start` (UTC, for people), `start_us` (Unix time in microseconds), `channels`, `patterns` |
/// | message | `us` (microseconds since the header, monotonic clock), `channel`, and the payload: `text`, or `base64` when it isn't ASCII |
/// | gap | `us`, `lost` (why the subscription broke) |
/// | end of a gap | `us`, `subscribed` (true) |
///
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
        appendTime(microseconds, to: &writer)
        writer.append(",\"channel\":")
        writer.appendString(wtf8: redisChannel)
        if payload.allSatisfy({ $0 < 0x80 }) {
            writer.append(",\"text\":")
            writer.appendString(wtf8: payload)
        } else {
            writer.append(",\"base64\":\"")
            Base64Text.append(payload, to: &writer)
            writer.append("\"")
        }
        writer.append("}\n")
    }

    static func appendLoss(_ cause: String, microseconds: Int64, to writer: inout JSONWriter) {
        appendTime(microseconds, to: &writer)
        writer.append(",\"lost\":")
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

/// Base64 of the standard alphabet with padding (RFC 4648, section 4).
enum Base64Text {
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    static func append(_ bytes: UnsafeRawBufferPointer, to writer: inout JSONWriter) {
        let letters = alphabet.utf8Start
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group: UInt32 = 0
            for offset in 0..<3 { group = group << 8 | (offset < count ? UInt32(bytes[start + offset]) : 0) }
            for position in 0..<4 {
                writer.append(
                    position <= count ? letters[Int(group >> UInt32(18 - 6 * position) & 63)] : UInt8(ascii: "="))
            }
        }
    }

    /// The bytes; nil for what isn't base64.
    static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        let padding = text.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard padding <= 2 else { return nil }
        var group: UInt32 = 0
        for (index, letter) in text.enumerated() {
            let isPadding = index >= text.count - padding
            guard let value = isPadding ? 0 : value(of: letter) else { return nil }
            group = group << 6 | value
            if index % 4 == 3 {
                for shift: UInt32 in [16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: group >> shift)) }
                group = 0
            }
        }
        bytes.removeLast(padding)
        return bytes
    }

    private static func value(of letter: UInt8) -> UInt32? {
        switch letter {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(letter - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(letter - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(letter - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
