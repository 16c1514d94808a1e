import OrderedCollections

/// An argument of an event: a JSON value or bytes.
///
/// Literals are values: `["time": 1, "tags": ["a", "b"], "done": true, "none": nil]`.
///
/// | case | in JavaScript |
/// |---|---|
/// | `null` | `null` |
/// | `bool` | a boolean |
/// | `int`, `double` | a number; beyond 2^53 it is rounded there |
/// | `string` | a string |
/// | `data` | an `ArrayBuffer`, sent as a binary attachment |
/// | `array` | an array |
/// | `object` | an object, its keys in this order |
public enum EventValue: Hashable, Sendable {
    /// Nothing.
    case null
    /// A truth value.
    case bool(Bool)
    /// An integer of 64 bits.
    case int(Int)
    /// A number. JSON has no NaN and no infinities: they are sent as null.
    case double(Double)
    /// A text.
    case string(String)
    /// Bytes.
    case data([UInt8])
    /// A list.
    case array([EventValue])
    /// Values by key, in order.
    case object(OrderedDictionary<String, EventValue>)

    /// An object with the keys of a dictionary, which has no order, in alphabetical order.
    public init(_ dictionary: [String: EventValue]) {
        let pairs = dictionary.sorted { $0.key < $1.key }
        self = .object(OrderedDictionary(uniqueKeysWithValues: pairs.map { ($0.key, $0.value) }))
    }

    /// The value of a key; nil if this is no object or has no such key. Setting a key turns any other value into an object.
    public subscript(key: String) -> EventValue? {
        get {
            if case .object(let members) = self { members[key] } else { nil }
        }
        set {
            var members: OrderedDictionary<String, EventValue> = [:]
            if case .object(let own) = self { members = own }
            members[key] = newValue
            self = .object(members)
        }
    }

    /// True if arrays and objects are nested in more levels than that. Deeper levels aren't visited.
    func isNestedDeeper(than levels: Int) -> Bool {
        switch self {
        case .array(let items): levels == 0 || items.contains { $0.isNestedDeeper(than: levels - 1) }
        case .object(let members): levels == 0 || members.values.contains { $0.isNestedDeeper(than: levels - 1) }
        case .null, .bool, .int, .double, .string, .data: false
        }
    }
}

extension EventValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringInterpolation, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    /// Null.
    public init(nilLiteral: ()) { self = .null }
    /// A truth value.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// An integer.
    public init(integerLiteral value: Int) { self = .int(value) }
    /// A number.
    public init(floatLiteral value: Double) { self = .double(value) }
    /// A text, interpolated or not.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A list.
    public init(arrayLiteral elements: EventValue...) { self = .array(elements) }
    /// An object; of equal keys the last one counts.
    public init(dictionaryLiteral elements: (String, EventValue)...) {
        self = .object(OrderedDictionary(elements) { $1 })
    }
}
