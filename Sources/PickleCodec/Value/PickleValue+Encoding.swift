extension PickleValue {
    /// Writes the value as a pickle, as CPython's `pickle.dumps` does.
    ///
    /// Built-in types at protocols 2 to 5 give CPython's bytes if equal strings are one object, nothing else is shared, and
    /// sets have our order.
    ///
    /// - Parameters:
    ///   - protocolVersion: 0 to 5. Default 4, Python's from 3.8 to 3.13.
    ///   - isFramed: true if protocols 4 and 5 are cut into frames. Default true.
    public func encoded(protocolVersion: Int = 4, isFramed: Bool = true) throws(PickleWriteError) -> [UInt8] {
        try PickleScratch.encode(self, protocolVersion, isFramed)
    }
}

extension PickleGraph.Builder {
    /// Adds a tree.
    public mutating func add(_ value: PickleValue) -> PickleNode {
        switch value {
        case .null: return none
        case .bool(let value): return bool(value)
        case .int(let value): return int(value)
        case .bigInt(let value): return int(twosComplement: value.twosComplement)
        case .float(let value): return float(value)
        case .string(let text): return string(text)
        case .surrogateString(let bytes): return string(wtf8: bytes)
        case .byteString(let bytes): return byteString(bytes)
        case .bytes(let content): return bytes(content)
        case .bytearray(let content): return bytearray(content)
        case .tuple(let items): return tuple(add(items))
        case .list(let items): return list(add(items))
        case .set(let items): return set(add(items))
        case .frozenset(let items): return frozenset(add(items))
        case .dict(let pairs): return dict(flat: add(pairs))
        case .global(let name): return global(name)
        case .object(let parts): return add(parts)
        case .persistentID(let id): return persistentID(add(id))
        }
    }

    private mutating func add(_ items: [PickleValue]) -> [PickleNode] {
        var nodes: [PickleNode] = []
        nodes.reserveCapacity(items.count)
        for item in items { nodes.append(add(item)) }
        return nodes
    }

    /// A key. Rows have the same text at the same index, which is found without the table of texts.
    private mutating func addKey(_ key: PickleValue, _ index: Int) -> PickleNode {
        guard case .string(let text) = key else { return add(key) }
        return keyNode(text, index)
    }

    /// Keys and values in turn.
    private mutating func add(_ dict: PickleDict) -> [PickleNode] {
        var nodes: [PickleNode] = []
        nodes.reserveCapacity(dict.count * 2)
        for index in dict.keys.indices {
            nodes.append(addKey(dict.keys[index], index))
            nodes.append(add(dict.values[index]))
        }
        return nodes
    }

    private mutating func add(_ parts: PickleObject) -> PickleNode {
        let callable = add(parts.callable)
        let arguments = tuple(add(parts.arguments))
        let keywords = parts.keywords.map { dict(flat: add($0)) }
        let node = object(parts.constructor, callable, arguments: arguments, keywords: keywords)
        for item in parts.items { append(add(item), to: node) }
        for pair in parts.pairs {
            let key = add(pair.key)
            setValue(add(pair.value), forKey: key, in: node)
        }
        for element in parts.adds { add(add(element), toSetLike: node) }
        for state in parts.states { setState(add(state), of: node) }
        return node
    }
}
