extension PickleValue: Hashable {
    public static func == (left: PickleValue, right: PickleValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let one), .bool(let other)): one == other
        case (.int(let one), .int(let other)): one == other
        case (.bigInt(let one), .bigInt(let other)): one == other
        case (.float(let one), .float(let other)): one.bitPattern == other.bitPattern
        case (.string(let one), .string(let other)): one.utf8.elementsEqual(other.utf8)
        case (.surrogateString(let one), .surrogateString(let other)), (.byteString(let one), .byteString(let other)),
            (.bytes(let one), .bytes(let other)), (.bytearray(let one), .bytearray(let other)):
            one == other
        case (.tuple(let one), .tuple(let other)), (.list(let one), .list(let other)): one == other
        case (.dict(let one), .dict(let other)): one == other
        case (.set(let one), .set(let other)), (.frozenset(let one), .frozenset(let other)):
            one.count == other.count && Set(one) == Set(other)
        case (.global(let one), .global(let other)): one == other
        case (.object(let one), .object(let other)): one == other
        case (.persistentID(let one), .persistentID(let other)): one == other
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let value): hasher.combine(value)
        case .int(let value): hasher.combine(value)
        case .bigInt(let value): hasher.combine(value)
        case .float(let value): hasher.combine(value.bitPattern)
        case .string(let value): for byte in value.utf8 { hasher.combine(byte) }
        case .surrogateString(let bytes), .byteString(let bytes), .bytes(let bytes), .bytearray(let bytes):
            hasher.combine(bytes)
        case .tuple(let items), .list(let items): hasher.combine(items)
        case .dict(let dict): hasher.combine(dict)
        case .set(let items), .frozenset(let items): hasher.combine(Self.unorderedHash(items))
        case .global(let name): hasher.combine(name)
        case .object(let object): hasher.combine(object)
        case .persistentID(let id): hasher.combine(id)
        }
    }

    /// A hash that does not depend on the order of the items.
    static func unorderedHash(_ items: [PickleValue]) -> Int {
        items.reduce(items.count) { $0 &+ $1.hashValue }
    }
}

extension PickleDict: Hashable {
    /// Whether both hold the same pairs, in whatever order, as in Python.
    public static func == (left: PickleDict, right: PickleDict) -> Bool {
        guard left.count == right.count else { return false }
        if left.pairs == right.pairs { return true }
        return Set(left.pairs) == Set(right.pairs)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(pairs.reduce(pairs.count) { $0 &+ $1.hashValue })
    }
}
