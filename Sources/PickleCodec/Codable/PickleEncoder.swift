/// Encodes `Encodable` types as pickles, in the manner of Foundation's `JSONEncoder`.
///
/// Keyed containers become dicts in the order of encoding, unkeyed ones lists, `[UInt8]` becomes bytes, nil becomes None.
/// Coding keys become str; those that are only a number (the keys of `[Int: T]`) become int. A property of type
/// `PickleValue` is written as it is.
public struct PickleEncoder: Sendable {
    /// How coding keys become dict keys.
    public enum KeyStrategy: Sendable {
        /// As they are.
        case useDefaultKeys
        /// `skipSid` is `skip_sid`.
        case convertToSnakeCase
        /// The result of a function of the path, whose last element is the key.
        case custom(@Sendable ([any CodingKey]) -> String)
    }

    /// The protocol to write, 0 to 5. Default 4.
    public var protocolVersion = 4
    /// True if protocols 4 and 5 are cut into frames. Default true.
    public var isFramed = true
    /// How coding keys become dict keys. Default: as they are.
    public var keyEncodingStrategy = KeyStrategy.useDefaultKeys
    /// Passed to `Encodable` types as `Encoder.userInfo`.
    public var userInfo: [CodingUserInfoKey: any Sendable] = [:]

    /// An encoder with default settings.
    public init() {}

    /// Encodes a value as one pickle.
    ///
    /// - Throws: any error of the value's own `encode(to:)`, or `PickleWriteError`.
    public func encode<T: Encodable>(_ value: T) throws -> [UInt8] {
        try encodeValue(value).encoded(protocolVersion: protocolVersion, isFramed: isFramed)
    }

    /// Encodes a value as a tree.
    public func encodeValue<T: Encodable>(_ value: T) throws -> PickleValue {
        let node = EncodedNode()
        try ValueEncoder(node: node, codingPath: [], settings: self).encode(value)
        return node.value
    }
}

/// Holds the result of an encoder; a reference, because containers outlive the call that made them.
final class EncodedNode {
    enum Kind { case value, dict, list }

    private var kind = Kind.dict
    private var single = PickleValue.null
    /// The keys of a dict.
    private var keys: [PickleValue] = []
    /// The values of a dict, or the items of a list.
    private(set) var items: [EncodedNode] = []

    /// The encoded value; a type that encodes nothing is an empty dict, as with `JSONEncoder`.
    var value: PickleValue {
        switch kind {
        case .value: single
        case .dict: .dict(PickleDict(keys: keys, values: items.map(\.value)))
        case .list: .list(items.map(\.value))
        }
    }

    /// Begins a dict or a list, unless it has begun.
    func begin(_ kind: Kind) {
        if self.kind != kind { (keys, items) = ([], []) }
        self.kind = kind
    }

    func set(_ value: PickleValue) {
        begin(.value)
        single = value
    }

    func append(_ node: EncodedNode, forKey key: PickleValue) {
        if let index = keys.firstIndex(of: key) {
            items[index] = node
        } else {
            keys.append(key)
            items.append(node)
        }
    }

    func append(_ node: EncodedNode) { items.append(node) }
}

/// The encoder of one value.
struct ValueEncoder: Encoder {
    let node: EncodedNode
    let codingPath: [any CodingKey]
    let settings: PickleEncoder

    var userInfo: [CodingUserInfoKey: Any] { settings.userInfo }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        node.begin(.dict)
        return KeyedEncodingContainer(KeyedWriter<Key>(encoder: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        node.begin(.list)
        return UnkeyedWriter(encoder: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }
}

extension ValueEncoder: SingleValueEncodingContainer {
    func encodeNil() { node.set(.null) }

    /// Serves as all requirements, since the types that hold one value are told apart here.
    func encode<T: Encodable>(_ value: T) throws {
        switch value {
        case let value as PickleValue: node.set(value)
        case let value as Bool: node.set(.bool(value))
        case let value as String: node.set(.string(value))
        case let value as Double: node.set(.float(value))
        case let value as Float: node.set(.float(Double(value)))
        case let value as any FixedWidthInteger: node.set(Self.integer(value))
        // The cast alone succeeds for an empty array of anything.
        case let bytes as [UInt8] where T.self == [UInt8].self: node.set(.bytes(bytes))
        default: try value.encode(to: self)
        }
    }

    private static func integer<T: FixedWidthInteger>(_ value: T) -> PickleValue {
        if let small = Int(exactly: value) { return .int(small) }
        // A further byte for the sign.
        let bytes = unsafe withUnsafeBytes(of: value.littleEndian) { unsafe Array($0) } + [value < 0 ? 0xff : 0]
        return .bigInt(PickleBigInt(twosComplement: bytes))
    }
}

/// Writes the pairs of a dict.
struct KeyedWriter<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: ValueEncoder
    var codingPath: [any CodingKey] { encoder.codingPath }

    private func nested(_ key: any CodingKey) -> ValueEncoder {
        let path = codingPath + [key]
        let name: PickleValue
        if let number = key.intValue, key.stringValue == String(number) {
            name = .int(number)
        } else {
            switch encoder.settings.keyEncodingStrategy {
            case .useDefaultKeys: name = .string(key.stringValue)
            case .convertToSnakeCase: name = .string(SnakeCase.snake(key.stringValue))
            case .custom(let convert): name = .string(convert(path))
            }
        }
        let node = EncodedNode()
        encoder.node.append(node, forKey: name)
        return ValueEncoder(node: node, codingPath: path, settings: encoder.settings)
    }

    mutating func encodeNil(forKey key: Key) { nested(key).encodeNil() }
    mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws { try nested(key).encode(value) }

    mutating func nestedContainer<Inner: CodingKey>(
        keyedBy type: Inner.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Inner> {
        nested(key).container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        nested(key).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder { nested(PickleCodingKey(stringValue: "super")) }
    mutating func superEncoder(forKey key: Key) -> any Encoder { nested(key) }
}

/// Writes the items of a list.
struct UnkeyedWriter: UnkeyedEncodingContainer {
    let encoder: ValueEncoder
    var codingPath: [any CodingKey] { encoder.codingPath }
    var count: Int { encoder.node.items.count }

    private func nested() -> ValueEncoder {
        let path = codingPath + [PickleCodingKey(intValue: count)]
        let node = EncodedNode()
        encoder.node.append(node)
        return ValueEncoder(node: node, codingPath: path, settings: encoder.settings)
    }

    mutating func encodeNil() { nested().encodeNil() }
    mutating func encode<T: Encodable>(_ value: T) throws { try nested().encode(value) }

    mutating func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        nested().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { nested().unkeyedContainer() }
    mutating func superEncoder() -> any Encoder { nested() }
}
