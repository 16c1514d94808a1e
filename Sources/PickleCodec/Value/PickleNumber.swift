/// A number as Python compares it with numbers of other types: exactly.
@safe enum PickleNumber {
    /// An int, bool or integral float of 64 bits.
    case small(Int64)
    /// An int beyond 64 bits, as a node's bytes.
    case big(UnsafeRawBufferPointer)
    /// An integral float beyond 64 bits, as its bits.
    case bigFloat(UInt64)
    /// A float that equals no int: a fraction or an infinity.
    case fraction(UInt64)
    /// Equal to nothing but itself.
    case nan

    init(float value: Double) {
        if value.isNaN {
            self = .nan
        } else if value >= -0x1p63, value < 0x1p63 {
            let whole = Int64(value)
            self = Double(whole) == value ? .small(whole) : .fraction(value.bitPattern)
        } else if value.isInfinite {
            self = .fraction(value.bitPattern)
        } else {
            self = .bigFloat(value.bitPattern)
        }
    }

    /// Minimal two's complement of an integral float of at least 2**63: at most 129 bytes.
    static func bytes(ofFloat bits: UInt64) -> [UInt8] {
        let value = Double(bitPattern: bits)
        let shift = Int(value.exponent) - 52
        let size = Int64(value.significandBitPattern | 1 << 52) << Int64(shift % 8)
        let word = (value < 0 ? -size : size).littleEndian
        // A shift by whole bytes puts zeros before the bytes of a negative number too.
        let bytes = unsafe [UInt8](repeating: 0, count: shift / 8) + withUnsafeBytes(of: word) { unsafe Array($0) }
        let length = unsafe bytes.withUnsafeBytes { unsafe TwosComplement.minimalLength($0) }
        return Array(bytes[..<length])
    }
}

extension PickleTape {
    /// The number of a bool, int or float node.
    func number(_ node: TapeNode) -> PickleNumber {
        switch node.kind {
        case .float: PickleNumber(float: Double(bitPattern: node.word))
        case .bool: .small(Int64(node.first))
        default: unsafe node.flags.contains(.big) ? .big(content(of: node)) : .small(Int64(bitPattern: node.word))
        }
    }
}
