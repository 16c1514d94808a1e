/// `application/x-www-form-urlencoded`: query strings and JSONP bodies.
package enum FormEncoding {
    /// Percent-decodes one value; `+` is a space. A broken escape stays as it is.
    package static func decode(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = text.startIndex
        while index < text.endIndex {
            let byte = text[index]
            if byte == UInt8(ascii: "%"), index + 2 < text.endIndex,
                let high = hexDigit(text[index + 1]), let low = hexDigit(text[index + 2])
            {
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(byte == UInt8(ascii: "+") ? 0x20 : byte)
                index += 1
            }
        }
        return result
    }

    /// Calls `body` with each decoded name and value of a query string, in order. A name without a value is skipped,
    /// as Python's `parse_qs` does.
    package static func forEachPair(in query: some Collection<UInt8>, _ body: ([UInt8], [UInt8]) -> Void) {
        for pair in Array(query).split(separator: UInt8(ascii: "&")) {
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            let value = pair[equals...].dropFirst()
            if !value.isEmpty { body(decode(pair[pair.startIndex..<equals]), decode(value)) }
        }
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 48
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - 87
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - 55
        default: nil
        }
    }
}
