/// A Python value as a Swift tree: the data that `pickle.loads` would return.
///
/// ```
/// let value = try PickleValue(decoding: bytes)
/// if case .dict(let message) = value, case .string(let event)? = message["event"] { print(event) }
/// ```
///
/// | Python | case |
/// |---|---|
/// | None | `null` |
/// | bool | `bool` |
/// | int | `int`, beyond 64 bits `bigInt` |
/// | float | `float` |
/// | str | `string`, with lone surrogates `surrogateString` |
/// | Python 2 str | `byteString` |
/// | bytes, bytearray | `bytes`, `bytearray` |
/// | tuple, list, set, frozenset | `tuple`, `list`, `set`, `frozenset` |
/// | dict | `dict`, in insertion order |
/// | a class or function | `global`, by name |
/// | everything else | `object`: the call that would make it, never carried out |
///
/// A tree has no identity: a list that occurs twice becomes two equal lists, and one that contains itself is an error.
/// `PickleGraph` can hold both. Trees are as deep as `PickleLimits.maximumDepth` allows (at most 10 000): comparing,
/// hashing, printing and releasing them recurses.
///
/// Equality is Swift's, not Python's: kinds must be the same (`1` and `1.0` differ), floats are compared by their bits, so
/// that NaN equals itself; sets and dicts are compared without order.
public enum PickleValue: Sendable {
    /// None. Not called `none`, which would be ambiguous in an optional.
    case null
    /// bool.
    case bool(Bool)
    /// An int of 64 bits.
    case int(Int)
    /// An int beyond 64 bits.
    case bigInt(PickleBigInt)
    /// float.
    case float(Double)
    /// str.
    case string(String)
    /// A str in which a lone surrogate stands, as UTF-8 with surrogates encoded like other code points.
    case surrogateString([UInt8])
    /// A Python 2 str: bytes that may be text.
    case byteString([UInt8])
    /// bytes.
    case bytes([UInt8])
    /// bytearray.
    case bytearray([UInt8])
    /// tuple.
    case tuple([PickleValue])
    /// list.
    case list([PickleValue])
    /// dict.
    case dict(PickleDict)
    /// set, in the order of the pickle.
    case set([PickleValue])
    /// frozenset, in the order of the pickle.
    case frozenset([PickleValue])
    /// The name of a class or function.
    indirect case global(PickleName)
    /// An object of some class.
    indirect case object(PickleObject)
    /// A persistent id.
    indirect case persistentID(PickleValue)
}

/// An int beyond 64 bits: minimal two's complement, little-endian.
public struct PickleBigInt: Hashable, Sendable {
    /// The bytes, 9 or more where it was decoded.
    public let twosComplement: [UInt8]

    init(_ bytes: UnsafeRawBufferPointer) {
        twosComplement = unsafe Array(bytes)
    }

    /// An int by its two's complement, little-endian; padding is dropped. Use `.int` for a number that fits 64 bits.
    public init(twosComplement bytes: [UInt8]) {
        let length = unsafe bytes.withUnsafeBytes { unsafe TwosComplement.minimalLength($0) }
        twosComplement = Array(bytes[..<length])
    }
}

/// An object as the pickle describes it. Nothing was imported or called; it can be written again as it is.
public struct PickleObject: Hashable, Sendable {
    /// How it would be made.
    public var constructor: PickleConstructor
    /// The class or callable.
    public var callable: PickleValue
    /// The arguments.
    public var arguments: [PickleValue]
    /// The keyword arguments, where there are any.
    public var keywords: PickleDict?
    /// One state for each BUILD.
    public var states: [PickleValue] = []
    /// The items that would be appended to it.
    public var items: [PickleValue] = []
    /// The pairs that would be set in it; equal keys are not resolved.
    public var pairs: [PickleDict.Pair] = []
    /// The elements that would be added to it as to a set.
    public var adds: [PickleValue] = []

    /// An object by its parts.
    public init(
        _ constructor: PickleConstructor = .reduce, _ callable: PickleValue, arguments: [PickleValue] = [],
        keywords: PickleDict? = nil
    ) {
        self.constructor = constructor
        self.callable = callable
        self.arguments = arguments
        self.keywords = keywords
    }

    /// The name of the class or callable, nil when that is an object itself.
    public var name: PickleName? {
        if case .global(let name) = callable { return name }
        return nil
    }
}

extension PickleValue {
    /// True if it is this text, as str or as a Python 2 str.
    func isText(_ text: String) -> Bool {
        switch self {
        case .string(let own): own.utf8.elementsEqual(text.utf8)
        case .byteString(let own): own.elementsEqual(text.utf8)
        default: false
        }
    }

    /// The value of a text key where this is a dict, OrderedDict, defaultdict or Counter; nil otherwise.
    public subscript(key: String) -> PickleValue? {
        mapping?[key]
    }

    /// An item of a list or tuple; nil if there is none at that index, and for other kinds.
    public subscript(index: Int) -> PickleValue? {
        switch self {
        case .list(let items), .tuple(let items): items.indices.contains(index) ? items[index] : nil
        default: nil
        }
    }

    /// The text of a str, or of a Python 2 str that is ASCII; nil otherwise.
    public var string: String? {
        switch self {
        case .string(let text): text
        case .byteString(let bytes): bytes.allSatisfy { $0 < 0x80 } ? String(decoding: bytes, as: UTF8.self) : nil
        default: nil
        }
    }

    /// The number of an int that fits 64 bits; nil otherwise.
    public var int: Int? {
        if case .int(let value) = self { return value }
        return nil
    }

    /// The number of a float, or of an int that a double holds exactly; nil otherwise.
    public var double: Double? {
        switch self {
        case .float(let value): value
        case .int(let value): Double(exactly: value)
        default: nil
        }
    }

    /// True if it is None.
    public var isNone: Bool {
        if case .null = self { return true }
        return false
    }
}

extension PickleValue: ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .float(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    /// A list.
    public init(arrayLiteral elements: PickleValue...) { self = .list(elements) }
    /// A dict.
    public init(dictionaryLiteral elements: (PickleValue, PickleValue)...) {
        self = .dict(PickleDict(elements.map { .init(key: $0.0, value: $0.1) }))
    }
}
