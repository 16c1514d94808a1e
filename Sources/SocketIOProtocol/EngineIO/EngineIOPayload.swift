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
            guard part.withUnsafeBytes({ WTF8.isValid($0, surrogates: false) }) else { throw .invalidUTF8 }
            return try EngineIOPacket(text: part)
        }
        guard let bytes = part.dropFirst().withUnsafeBytes({ Base64.decode($0, .unpadded) }) else { throw .invalidBase64 }
        return EngineIOPacket(binary: bytes[...])
    }

    /// The value of `d` in the HTML form that JSONP clients post: `d=` and the payload, percent-encoded, with line
    /// feeds written as `\n` because forms turn them into CR LF. Nil if this is no such form.
    package static func jsonpBody(_ body: ArraySlice<UInt8>) -> [UInt8]? {
        guard body.starts(with: [UInt8(ascii: "d"), UInt8(ascii: "=")]) else { return nil }
        let decoded = FormEncoding.decode(body.dropFirst(2))
        let backslash = UInt8(ascii: "\\")
        var result: [UInt8] = []
        result.reserveCapacity(decoded.count)
        var index = 0
        while index < decoded.count {
            let next = index + 1 < decoded.count ? decoded[index + 1] : 0
            if decoded[index] == backslash, next == UInt8(ascii: "n") {
                result.append(0x0A)
                index += 2
            } else if decoded[index] == backslash, next == backslash {
                // An escaped backslash protects a literal `\n` in the payload.
                let protectsLineFeed = index + 2 < decoded.count && decoded[index + 2] == UInt8(ascii: "n")
                result.append(backslash)
                if !protectsLineFeed { result.append(backslash) }
                index += 2
                if protectsLineFeed {
                    result.append(UInt8(ascii: "n"))
                    index += 1
                }
            } else {
                result.append(decoded[index])
                index += 1
            }
        }
        return result
    }
}
