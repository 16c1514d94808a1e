import Bytes

/// Several packets in one HTTP body: joined by 0x1E, an attachment as `b` and base64.
///
/// Source: Engine.IO protocol v4, section "Encoding" of HTTP long-polling.
package enum EngineIOPayload {
    package static let separator: UInt8 = 0x1E
    /// python-engineio's clients refuse a body with more packets than this (`max_decode_packets`).
    package static let maximumPacketsInPayload = 16

    /// Calls `body` with each packet of a request body up to the first broken one, at which it throws.
    ///
    /// The number of packets is bounded by the limit of the text itself (`maxPayload`).
    package static func forEachPacket(
        in payload: ArraySlice<UInt8>, _ body: (EngineIOPacket) -> Void
    ) throws(EngineIOError) {
        var rest = payload
        while true {
            let end = rest.firstIndex(of: separator) ?? rest.endIndex
            body(try decodePacket(rest[rest.startIndex..<end]))
            guard end < rest.endIndex else { return }
            rest = rest[(end + 1)...]
        }
    }

    private static func decodePacket(_ part: ArraySlice<UInt8>) throws(EngineIOError) -> EngineIOPacket {
        guard part.first == UInt8(ascii: "b") else {
            guard unsafe part.withUnsafeBytes({ unsafe WTF8.isValid($0, surrogates: false) }) else {
                throw .invalidUTF8
            }
            return try EngineIOPacket(text: part)
        }
        let text = part.dropFirst()
        let bytes = Base64.decode(text.span, .unpadded)
        guard let bytes else { throw .invalidBase64 }
        return EngineIOPacket(binary: bytes[...])
    }

    /// The value of `d` in the HTML form that JSONP clients post: `d=` and the payload, percent-encoded, with line
    /// feeds written as `\n` because forms turn them into CR LF. Nil if this is no such form.
    package static func jsonpBody(_ body: ArraySlice<UInt8>) -> [UInt8]? {
        guard body.starts(with: [UInt8(ascii: "d"), UInt8(ascii: "=")]) else { return nil }
        var rest = FormEncoding.decode(body.dropFirst(2))[...]
        var result: [UInt8] = []
        result.reserveCapacity(rest.count)
        while let backslash = rest.firstIndex(of: UInt8(ascii: "\\")) {
            result += rest[..<backslash]
            rest = rest[backslash...]
            let (escape, text) = escapes.first { rest.starts(with: $0.escape.utf8) } ?? (#"\"#, #"\"#)
            result += text.utf8
            rest = rest.dropFirst(escape.utf8.count)
        }
        return result + rest
    }

    /// An escaped backslash protects a literal `\n` in the payload.
    private static let escapes: [(escape: String, text: String)] = [
        (#"\n"#, "\n"), (#"\\n"#, #"\n"#), (#"\\"#, #"\\"#),
    ]
}
