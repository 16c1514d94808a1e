import JSONCodec
import PickleCodec

extension PickleWriter {
    /// Writes a JSON value as the Python value that `json.loads` makes of it.
    mutating func append(_ node: JSONDocument.Node, of document: borrowing JSONDocument) {
        switch document.kind(of: node) {
        case .null: appendNone()
        case .bool: append(document.bool(node) ?? false)
        case .integer:
            if let value = document.int64(node) {
                append(value)
            } else {
                DecimalInteger.twosComplement(document.source(of: node)).withUnsafeBytes {
                    appendInteger(twosComplement: $0)
                }
            }
        case .float: append(document.double(node) ?? 0)
        case .string: appendText(document.byteString(node) ?? "")
        case .array:
            beginList()
            for element in document.elements(of: node) { append(element, of: document) }
            endList()
        case .object:
            beginDict()
            for (key, value) in document.members(of: node) {
                appendText(document.byteString(key) ?? "")
                append(value, of: document)
            }
            endDict()
        }
    }
}

/// Integers beyond 64 bits from their decimal digits, of which JSON allows a hundred.
enum DecimalInteger {
    /// Little-endian two's complement.
    static func twosComplement(_ digits: some Sequence<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = [0]
        var isNegative = false
        for digit in digits {
            if digit == UInt8(ascii: "-") {
                isNegative = true
                continue
            }
            var carry = UInt16(digit & 0x0F)
            for index in bytes.indices {
                let product = UInt16(bytes[index]) * 10 + carry
                bytes[index] = UInt8(truncatingIfNeeded: product)
                carry = product >> 8
            }
            if carry > 0 { bytes.append(UInt8(truncatingIfNeeded: carry)) }
        }
        // Room for the sign.
        bytes.append(0)
        guard isNegative else { return bytes }
        var carry = true
        for index in bytes.indices {
            let (sum, overflow) = (~bytes[index]).addingReportingOverflow(carry ? 1 : 0)
            bytes[index] = sum
            carry = overflow
        }
        return bytes
    }
}
