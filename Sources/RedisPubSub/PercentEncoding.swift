/// The bytes of a URL's parts (RFC 3986, section 2.1).
enum PercentEncoding {
    static func cut(
        _ bytes: ArraySlice<UInt8>, atFirst byte: UInt8
    ) -> (before: ArraySlice<UInt8>, after: ArraySlice<UInt8>?) {
        guard let index = bytes.firstIndex(of: byte) else { return (bytes, nil) }
        return (bytes[..<index], bytes[(index + 1)...])
    }

    /// - Parameter plusIsSpace: in a query, as Python's `parse_qs` has it.
    static func decode(_ bytes: ArraySlice<UInt8>, plusIsSpace: Bool = false) -> [UInt8] {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var rest = bytes
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let high = hexDigit(rest.first), let low = hexDigit(rest.dropFirst().first) {
                decoded.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                decoded.append(plusIsSpace && byte == UInt8(ascii: "+") ? 0x20 : byte)
            }
        }
        return decoded
    }

    static func decimal(_ digits: some Collection<UInt8>, maximum: Int) -> Int? {
        guard !digits.isEmpty, digits.count <= 10 else { return nil }
        var number = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            number = number * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return number <= maximum ? number : nil
    }

    private static func hexDigit(_ byte: UInt8?) -> UInt8? {
        switch byte {
        case .some(let digit) where (0x30...0x39).contains(digit): digit - 0x30
        case .some(let letter) where (0x41...0x46).contains(letter): letter - 0x41 + 10
        case .some(let letter) where (0x61...0x66).contains(letter): letter - 0x61 + 10
        default: nil
        }
    }
}
