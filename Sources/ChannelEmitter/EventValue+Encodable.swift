import OrderedCollections
import PickleCodec

/// For properties of `Encodable` types.
extension EventValue: Encodable {
    /// Encodes the value; bytes only where the encoder supports them, as in ``EventValue/init(encoding:)``.
    public func encode(to encoder: any Encoder) throws {
        try PickleValue(self).encode(to: encoder)
    }
}

extension EventValue {
    /// The encoded form of a value: an object for a struct, its members in the order of encoding; bytes for `[UInt8]`.
    ///
    /// - Throws: errors of the type's own `encode(to:)`, or `EncodingError` for an integer beyond 64 bits with sign.
    public init(encoding value: some Encodable) throws {
        self = try EventValue(PickleEncoder().encodeValue(value))
    }

    private init(_ value: PickleValue) throws {
        switch value {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(value)
        case .float(let value): self = .double(value)
        case .string(let text): self = .string(text)
        case .bytes(let bytes): self = .data(bytes)
        case .list(let items): self = .array(try items.map { try EventValue($0) })
        case .dict(let dict):
            var members: OrderedDictionary<String, EventValue> = [:]
            for pair in dict.pairs {
                let key = pair.key.string ?? pair.key.int.map { String($0) } ?? "\(pair.key)"
                members[key] = try EventValue(pair.value)
            }
            self = .object(members)
        default:
            let context = EncodingError.Context(codingPath: [], debugDescription: "an event can't hold \(value)")
            throw EncodingError.invalidValue(value, context)
        }
    }
}

extension PickleValue {
    /// The Python value that arrives as this argument.
    init(_ value: EventValue) {
        switch value {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(value)
        case .double(let value): self = value.isFinite ? .float(value) : .null
        case .string(let text): self = .string(text)
        case .data(let bytes): self = .bytes(bytes)
        case .array(let items): self = .list(items.map { PickleValue($0) })
        case .object(let members):
            self = .dict(
                PickleDict(members.map { PickleDict.Pair(key: .string($0.key), value: PickleValue($0.value)) }))
        }
    }
}
