/// A dict: keys and values in insertion order, no two keys equal.
///
/// Keys are a separate array, so that decoded dicts with the same keys (the rows of a table) share it.
public struct PickleDict: Sendable, ExpressibleByDictionaryLiteral {
    /// A key and its value.
    public struct Pair: Hashable, Sendable {
        /// The key, a hashable Python value.
        public let key: PickleValue
        /// The value.
        public let value: PickleValue

        /// A pair.
        public init(key: PickleValue, value: PickleValue) {
            self.key = key
            self.value = value
        }
    }

    /// The keys in insertion order.
    public private(set) var keys: [PickleValue]
    /// The values in the order of the keys.
    public private(set) var values: [PickleValue]

    /// A dict of pairs whose keys differ.
    public init(_ pairs: [Pair] = []) {
        self.init(keys: pairs.map(\.key), values: pairs.map(\.value))
    }

    public init(dictionaryLiteral elements: (PickleValue, PickleValue)...) {
        self.init(keys: elements.map(\.0), values: elements.map(\.1))
    }

    /// As many values as keys.
    init(keys: [PickleValue], values: [PickleValue]) {
        self.keys = keys
        self.values = values
    }

    /// The pairs in insertion order: an array made for the caller.
    public var pairs: [Pair] {
        zip(keys, values).map { Pair(key: $0, value: $1) }
    }

    /// The number of pairs.
    public var count: Int { keys.count }

    /// The value of a text key, also of a Python 2 str with its bytes. Linear in the number of pairs.
    public subscript(key: String) -> PickleValue? {
        keys.lastIndex { $0.isText(key) }.map { values[$0] }
    }

    /// The value of any key. Linear in the number of pairs.
    public subscript(key: PickleValue) -> PickleValue? {
        get { keys.firstIndex(of: key).map { values[$0] } }
        set {
            let index = keys.firstIndex(of: key)
            switch (index, newValue) {
            case (let index?, let value?):
                keys[index] = key
                values[index] = value
            case (let index?, nil):
                keys.remove(at: index)
                values.remove(at: index)
            case (nil, let value?):
                keys.append(key)
                values.append(value)
            case (nil, nil): break
            }
        }
    }
}
