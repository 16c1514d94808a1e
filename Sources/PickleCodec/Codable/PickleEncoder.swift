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
        try ValueEncoder(node, path: [], settings: self).write(value)
        return node.value
    }
}

/// Holds the result of an encoder; a reference, because containers outlive the call that made them.
final class EncodedNode {
    enum Content {
        case none
        case value(PickleValue)
        case pairs([(key: PickleValue, node: EncodedNode)])
        case items([EncodedNode])
    }

    var content = Content.none

    /// The encoded value; a type that encodes nothing is an empty dict, as with `JSONEncoder`.
    var value: PickleValue {
        switch content {
        case .none: .dict(PickleDict())
        case .value(let value): value
        case .pairs(let pairs): .dict(PickleDict(pairs.map { .init(key: $0.key, value: $0.node.value) }))
        case .items(let items): .list(items.map(\.value))
        }
    }

    func append(_ node: EncodedNode, forKey key: PickleValue) {
        guard case .pairs(var pairs) = content else { return }
        content = .none
        if let place = pairs.firstIndex(where: { $0.key == key }) {
            pairs[place].node = node
        } else {
            pairs.append((key, node))
        }
        content = .pairs(pairs)
    }

    func append(_ node: EncodedNode) {
        guard case .items(var items) = content else { return }
        content = .none
        items.append(node)
        content = .items(items)
    }

    var itemCount: Int {
        if case .items(let items) = content { return items.count }
        return 0
    }
}

/// The encoder of one value.
struct ValueEncoder: Encoder {
    let node: EncodedNode
    let codingPath: [any CodingKey]
    let settings: PickleEncoder

    init(_ node: EncodedNode, path: [any CodingKey], settings: PickleEncoder) {
        self.node = node
        codingPath = path
        self.settings = settings
    }

    var userInfo: [CodingUserInfoKey: Any] { settings.userInfo }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if case .pairs = node.content {} else { node.content = .pairs([]) }
        return KeyedEncodingContainer(KeyedWriter<Key>(encoder: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if case .items = node.content {} else { node.content = .items([]) }
        return UnkeyedWriter(encoder: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    /// Writes a value; `PickleValue` and bytes need no container.
    func write<T: Encodable>(_ value: T) throws {
        if let value = value as? PickleValue {
            node.content = .value(value)
        } else if T.self == [UInt8].self, let bytes = value as? [UInt8] {
            // The cast alone succeeds for an empty array of anything.
            node.content = .value(.bytes(bytes))
        } else {
            try value.encode(to: self)
        }
    }
}

extension ValueEncoder: SingleValueEncodingContainer {
    private func set(_ value: PickleValue) { node.content = .value(value) }

    func encodeNil() { set(.null) }
    func encode(_ value: Bool) { set(.bool(value)) }
    func encode(_ value: String) { set(.string(value)) }
    func encode(_ value: Double) { set(.float(value)) }
    func encode(_ value: Float) { set(.float(Double(value))) }
    func encode(_ value: Int) { set(.int(value)) }
    func encode(_ value: Int8) { set(.int(Int(value))) }
    func encode(_ value: Int16) { set(.int(Int(value))) }
    func encode(_ value: Int32) { set(.int(Int(value))) }
    func encode(_ value: Int64) { set(.int(Int(value))) }
    func encode(_ value: UInt) { encode(UInt64(value)) }
    func encode(_ value: UInt8) { set(.int(Int(value))) }
    func encode(_ value: UInt16) { set(.int(Int(value))) }
    func encode(_ value: UInt32) { set(.int(Int(value))) }
    func encode(_ value: UInt64) {
        if let small = Int(exactly: value) { return set(.int(small)) }
        // The ninth byte is the sign.
        withUnsafeBytes(of: value.littleEndian) { bytes in
            set(.bigInt(PickleBigInt(twosComplement: Array(bytes) + [0])))
        }
    }
    func encode<T: Encodable>(_ value: T) throws { try write(value) }
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
        return ValueEncoder(node, path: path, settings: encoder.settings)
    }

    mutating func encodeNil(forKey key: Key) { nested(key).encodeNil() }
    mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws { try nested(key).write(value) }

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
    var count: Int { encoder.node.itemCount }

    private func nested() -> ValueEncoder {
        let path = codingPath + [PickleCodingKey(intValue: count)]
        let node = EncodedNode()
        encoder.node.append(node)
        return ValueEncoder(node, path: path, settings: encoder.settings)
    }

    mutating func encodeNil() { nested().encodeNil() }
    mutating func encode<T: Encodable>(_ value: T) throws { try nested().write(value) }

    mutating func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        nested().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { nested().unkeyedContainer() }
    mutating func superEncoder() -> any Encoder { nested() }
}
