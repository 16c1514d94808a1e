// Views of the number types of Python's standard library: nil if the object is something else.
extension PickleValue {
    /// The text of a `decimal.Decimal`: may be `NaN`, `sNaN`, `Infinity`, `1E+30`.
    public var decimal: String? {
        guard let object = call("decimal", "Decimal") ?? call("_decimal", "Decimal"), object.arguments.count == 1 else {
            return nil
        }
        return object.arguments[0].string
    }

    /// A `fractions.Fraction` by numerator and denominator, ints of any size; from text `n/d` as older Pythons write it.
    public var fraction: (numerator: PickleValue, denominator: PickleValue)? {
        guard let object = call("fractions", "Fraction") else { return nil }
        switch object.arguments.count {
        case 2:
            guard object.arguments[0].isInteger, object.arguments[1].isInteger else { return nil }
            return (object.arguments[0], object.arguments[1])
        case 1:
            guard let parts = object.arguments[0].string?.split(separator: "/"), parts.count <= 2,
                let numerator = parts.first.flatMap({ Int($0) })
            else { return nil }
            if parts.count == 1 { return (.int(numerator), .int(1)) }
            guard let denominator = Int(parts[1]) else { return nil }
            return (.int(numerator), .int(denominator))
        default: return nil
        }
    }

    /// A `complex` by its real and imaginary part.
    public var complex: (real: Double, imaginary: Double)? {
        guard let object = call("builtins", "complex") ?? call("__builtin__", "complex"),
            object.arguments.count == 2, case .float(let real) = object.arguments[0],
            case .float(let imaginary) = object.arguments[1]
        else { return nil }
        return (real, imaginary)
    }

    private var isInteger: Bool {
        switch self {
        case .int, .bigInt: true
        default: false
        }
    }

    /// The 16 bytes of a `uuid.UUID`, most significant first, as text and Foundation's `UUID` have them.
    public var uuid: [UInt8]? {
        guard case .object(let object) = self, let state = uuidState(object) else { return nil }
        var bytes = [UInt8](repeating: 0, count: 16)
        switch state {
        case .int(let value):
            guard value >= 0 else { return nil }
            for index in 0..<8 { bytes[15 - index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
        case .bigInt(let value):
            let own = value.twosComplement
            // At most 2**128 - 1: 16 bytes, and a 17th of zero for the sign.
            guard own.count <= 17, own.count < 17 || own[16] == 0, (own.last ?? 0) < 0x80 else { return nil }
            for (index, byte) in own.prefix(16).enumerated() { bytes[15 - index] = byte }
        default: return nil
        }
        return bytes
    }

    /// A `uuid.UUID` as text: `12345678-1234-5678-1234-567812345678`.
    public var uuidString: String? {
        uuid.map { bytes in
            var text = ""
            for (index, byte) in bytes.enumerated() {
                if [4, 6, 8, 10].contains(index) { text += "-" }
                text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
            return text
        }
    }

    /// The number in `UUID()` with state `{'int': n}`, or in `_reconstructor(UUID, object, None)` with it.
    private func uuidState(_ object: PickleObject) -> PickleValue? {
        let type = PickleName(module: "uuid", name: "UUID")
        let isUUID: Bool
        switch object.constructor {
        case .newObj: isUUID = object.name == type && object.arguments.isEmpty
        case .reduce:
            isUUID = object.name?.name == "_reconstructor" && object.arguments.first == .global(type)
        default: isUUID = false
        }
        guard isUUID, object.states.count == 1, case .dict(let state) = object.states[0] else { return nil }
        return state["int"]
    }
}
