/// For properties of `Codable` types: `PickleDecoder` and `PickleEncoder` keep any value unchanged; other coders support
/// the values that their format can hold (null, booleans, numbers, text, arrays, text-keyed dictionaries).
extension PickleValue: Codable {
    public init(from decoder: any Decoder) throws {
        if let decoder = decoder as? ValueDecoder {
            self = decoder.value
            return
        }
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .int(value)
        } else if let value = try? container.decode(Double.self) {
            self = .float(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let items = try? container.decode([PickleValue].self) {
            self = .list(items)
        } else {
            let pairs = try container.decode([String: PickleValue].self)
            self = .dict(PickleDict(pairs.map { .init(key: .string($0.key), value: $0.value) }))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        if let encoder = encoder as? ValueEncoder {
            encoder.node.set(self)
            return
        }
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .float(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .list(let items), .tuple(let items): try container.encode(items)
        default:
            guard let dict = mapping else { throw refusal(encoder) }
            var pairs: [String: PickleValue] = [:]
            for pair in dict.pairs {
                guard let key = pair.key.string else { throw refusal(encoder) }
                pairs[key] = pair.value
            }
            try container.encode(pairs)
        }
    }

    private func refusal(_ encoder: any Encoder) -> EncodingError {
        EncodingError.invalidValue(
            self, .init(codingPath: encoder.codingPath, debugDescription: "only a pickle can hold this Python value"))
    }
}
