/// Decodes `Decodable` types from pickles, in the manner of Foundation's `JSONDecoder`.
///
/// ```
/// struct Update: Codable { var time: Int; var room: String? }
/// let update = try PickleDecoder().decode(Update.self, from: bytes)
/// ```
///
/// dicts (also OrderedDict, defaultdict, Counter) are keyed; lists, tuples, sets, namedtuples and deques are unkeyed;
/// bytes and bytearrays decode as `[UInt8]`. Numbers convert only where nothing is lost. A property of type
/// `PickleValue` takes any value.
public struct PickleDecoder: Sendable {
    /// How dict keys become coding keys.
    public enum KeyStrategy: Sendable {
        /// As they are.
        case useDefaultKeys
        /// `skip_sid` is `skipSid`.
        case convertFromSnakeCase
        /// The result of a function of the path and the key.
        case custom(@Sendable ([any CodingKey], String) -> String)
    }

    /// Bounds on the input.
    public var limits = PickleLimits()
    /// How dict keys become coding keys. Default: as they are.
    public var keyDecodingStrategy = KeyStrategy.useDefaultKeys
    /// Passed to `Decodable` types as `Decoder.userInfo`.
    public var userInfo: [CodingUserInfoKey: any Sendable] = [:]

    /// A decoder with default settings.
    public init() {}

    /// Decodes a value of a type.
    ///
    /// - Throws: `DecodingError` with the coding path; malformed pickles as `.dataCorrupted` with the `PickleError` below.
    public func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8]) throws -> T {
        let value: PickleValue
        do throws(PickleError) {
            value = try PickleValue(decoding: bytes, limits: limits)
        } catch {
            throw DecodingError.dataCorrupted(
                .init(codingPath: [], debugDescription: error.description, underlyingError: error))
        }
        return try decode(type, from: value)
    }

    /// Decodes a value of a type from a tree.
    public func decode<T: Decodable>(_ type: T.Type, from value: PickleValue) throws -> T {
        try ValueDecoder(value: value, codingPath: [], settings: self).decode(type)
    }
}

/// A key by text or number.
struct PickleCodingKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(stringValue: String) {
        self.stringValue = stringValue
        intValue = nil
    }

    init(intValue: Int) {
        stringValue = String(intValue)
        self.intValue = intValue
    }
}

/// The decoder of one value.
struct ValueDecoder: Decoder {
    let value: PickleValue
    let codingPath: [any CodingKey]
    let settings: PickleDecoder

    var userInfo: [CodingUserInfoKey: Any] { settings.userInfo }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard let mapping = value.mapping else { throw mismatch([String: Any].self) }
        return KeyedDecodingContainer(KeyedValues<Key>(mapping, self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        UnkeyedValues(items: try items(), decoder: self)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    private func items() throws -> [PickleValue] {
        switch value {
        case .list(let items), .tuple(let items), .set(let items), .frozenset(let items): return items
        case .bytes(let bytes), .bytearray(let bytes), .byteString(let bytes): return bytes.map { .int(Int($0)) }
        default: break
        }
        if let items = value.namedTuple?.fields ?? value.deque?.items { return items }
        throw mismatch([Any].self)
    }

    func mismatch(_ type: Any.Type) -> DecodingError {
        .typeMismatch(
            type,
            .init(
                codingPath: codingPath,
                debugDescription: "expected \(type), found \(value.description(maximumBytes: 80))"))
    }

    /// The integer, where the type can hold it.
    private func integer<T: FixedWidthInteger>(_ type: T.Type) throws -> T {
        let exact: T?
        switch value {
        case .int(let number): exact = T(exactly: number)
        // Of the ints beyond 64 bits with sign, 16 bytes hold all that fit a type of up to 128 bits with sign.
        case .bigInt(let number): exact = number.twosComplement.count > 16 ? nil : T(exactly: number.int128)
        case .float(let number): exact = T(exactly: number)
        default: throw mismatch(type)
        }
        if let exact { return exact }
        throw DecodingError.dataCorrupted(
            .init(
                codingPath: codingPath, debugDescription: "\(value.description(maximumBytes: 80)) does not fit \(type)")
        )
    }
}

extension ValueDecoder: SingleValueDecodingContainer {
    func decodeNil() -> Bool { value.isNone }

    /// Serves as all requirements, since the types that hold one value are told apart here.
    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let result: Any?
        switch type {
        case is PickleValue.Type: result = value
        case is Bool.Type: result = value.bool
        case is String.Type: result = value.string
        case is Double.Type: result = value.double
        case is Float.Type: result = value.double.map { Float($0) }
        case let type as any (FixedWidthInteger & Decodable).Type: result = try integer(type)
        default:
            // The cast of bytes alone would succeed for an empty array of anything.
            if T.self == [UInt8].self, let bytes = value.byteArray as? T { return bytes }
            return try T(from: self)
        }
        guard let result = result as? T else { throw mismatch(type) }
        return result
    }
}

extension PickleValue {
    fileprivate var bool: Bool? {
        if case .bool(let flag) = self { flag } else { nil }
    }

    fileprivate var byteArray: [UInt8]? {
        switch self {
        case .bytes(let bytes), .bytearray(let bytes), .byteString(let bytes): bytes
        default: nil
        }
    }
}

extension PickleBigInt {
    /// The number, if it has 16 bytes at most.
    fileprivate var int128: Int128 {
        twosComplement.reversed().reduce((twosComplement.last ?? 0) < 0x80 ? 0 : -1) { $0 << 8 | Int128($1) }
    }
}
