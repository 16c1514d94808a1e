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
        try ValueDecoder(value, path: [], settings: self).decode(type)
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

    init(_ value: PickleValue, path: [any CodingKey], settings: PickleDecoder) {
        self.value = value
        codingPath = path
        self.settings = settings
    }

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

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        if let value = value as? T { return value }
        if type == [UInt8].self, let bytes = byteArray as? T { return bytes }
        return try T(from: self)
    }

    private var byteArray: [UInt8]? {
        switch value {
        case .bytes(let bytes), .bytearray(let bytes), .byteString(let bytes): bytes
        default: nil
        }
    }

    /// The integer, where the type can hold it.
    func integer<T: FixedWidthInteger>(_ type: T.Type) throws -> T {
        switch value {
        case .int(let number):
            guard let exact = T(exactly: number) else { throw lossy(type) }
            return exact
        case .bigInt(let number):
            guard let exact: T = Self.exact(number.twosComplement) else { throw lossy(type) }
            return exact
        case .float(let number):
            guard let exact = T(exactly: number) else { throw lossy(type) }
            return exact
        default: throw mismatch(type)
        }
    }

    private static func exact<T: FixedWidthInteger>(_ bytes: [UInt8]) -> T? {
        let isNegative = (bytes.last ?? 0) >= 0x80
        if isNegative && !T.isSigned { return nil }
        var result: T = isNegative ? ~0 : 0
        let width = T.bitWidth / 8
        for (index, byte) in bytes.enumerated() where index >= width && byte != (isNegative ? 0xff : 0) { return nil }
        for index in (0..<width).reversed() {
            let byte = index < bytes.count ? bytes[index] : isNegative ? 0xff : 0
            result = result << 8 | T(truncatingIfNeeded: byte)
        }
        return (result < 0) == isNegative ? result : nil
    }

    private func lossy(_ type: Any.Type) -> DecodingError {
        .dataCorrupted(
            .init(
                codingPath: codingPath, debugDescription: "\(value.description(maximumBytes: 80)) does not fit \(type)")
        )
    }
}

extension ValueDecoder: SingleValueDecodingContainer {
    func decodeNil() -> Bool { value.isNone }

    func decode(_ type: Bool.Type) throws -> Bool {
        guard case .bool(let flag) = value else { throw mismatch(type) }
        return flag
    }

    func decode(_ type: String.Type) throws -> String {
        guard let text = value.string else { throw mismatch(type) }
        return text
    }

    func decode(_ type: Double.Type) throws -> Double {
        guard let number = value.double else { throw mismatch(type) }
        return number
    }

    func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }
    func decode(_ type: Int.Type) throws -> Int { try integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }
}
