extension PickleGraph {
    private func node(_ node: PickleNode) -> TapeNode { storage.tape.nodes[node.index] }

    /// What a value is.
    public func kind(of node: PickleNode) -> PickleKind { self.node(node).kind }

    /// The items of a tuple, list, set or frozenset in order; empty for other kinds.
    public func elements(of node: PickleNode) -> [PickleNode] {
        let value = self.node(node)
        switch value.kind {
        case .tuple, .list, .set, .frozenset: return items(storage.tape.chain(of: value))
        default: return []
        }
    }

    /// The pairs of a dict in order, each key once; empty for other kinds.
    public func pairs(of node: PickleNode) -> [(key: PickleNode, value: PickleNode)] {
        let value = self.node(node)
        return value.kind == .dict ? pairs(storage.tape.chain(of: value)) : []
    }

    func items(_ chain: ItemChain) -> [PickleNode] {
        var items: [PickleNode] = []
        items.reserveCapacity(Int(chain.count))
        storage.tape.forEach(in: chain) { items.append(PickleNode(index: $0)) }
        return items
    }

    func pairs(_ chain: ItemChain) -> [(key: PickleNode, value: PickleNode)] {
        let flat = items(chain)
        return stride(from: 0, to: flat.count & ~1, by: 2).map { (flat[$0], flat[$0 + 1]) }
    }

    /// The value of an int that fits, or of a bool; nil otherwise.
    public func int(_ node: PickleNode) -> Int? {
        let value = self.node(node)
        switch value.kind {
        case .int: return value.flags.contains(.big) ? nil : Int(truncatingIfNeeded: Int64(bitPattern: value.word))
        case .bool: return Int(value.first)
        default: return nil
        }
    }

    /// The value of a bool; nil for other kinds.
    public func bool(_ node: PickleNode) -> Bool? {
        let value = self.node(node)
        return value.kind == .bool ? value.first != 0 : nil
    }

    /// The value of a float, bit for bit; nil for other kinds.
    public func double(_ node: PickleNode) -> Double? {
        let value = self.node(node)
        return value.kind == .float ? Double(bitPattern: value.word) : nil
    }

    /// An int of any size as minimal two's complement, little-endian; nil for other kinds.
    public func integerBytes(_ node: PickleNode) -> [UInt8]? {
        let value = self.node(node)
        guard value.kind == .int else { return nil }
        if value.flags.contains(.big) { return Array(storage.tape.content(of: value)) }
        return withUnsafeBytes(of: value.word.littleEndian) { bytes in
            Array(bytes.prefix(TwosComplement.minimalLength(bytes)))
        }
    }

    /// The bytes of a str (UTF-8 in which surrogates may stand), Python 2 str, bytes or bytearray; nil for other kinds.
    public func bytes(_ node: PickleNode) -> [UInt8]? {
        let value = self.node(node)
        switch value.kind {
        case .str, .byteString, .bytes, .bytearray: return Array(storage.tape.content(of: value))
        default: return nil
        }
    }

    /// The text of a str; nil for other kinds and where a lone surrogate stands in it.
    public func string(_ node: PickleNode) -> String? {
        let value = self.node(node)
        guard value.kind == .str else { return nil }
        return String(validating: storage.tape.content(of: value), as: UTF8.self)
    }

    /// Module and name of a global; nil for other kinds.
    public func global(_ node: PickleNode) -> PickleName? {
        let value = self.node(node)
        guard value.kind == .global else { return nil }
        return storage.tape.name(of: value)
    }

    /// The id of a persistent reference; nil for other kinds.
    public func persistentID(_ node: PickleNode) -> PickleNode? {
        let value = self.node(node)
        return value.kind == .persistentID ? PickleNode(index: value.first) : nil
    }

    /// The parts of an object as the pickle has them. Nothing was called.
    public struct Object: Sendable {
        /// How it would be made.
        public let constructor: PickleConstructor
        /// The class or callable: a global, or another object.
        public let callable: PickleNode
        /// The argument tuple.
        public let arguments: PickleNode
        /// The keyword dict, where there is one.
        public let keywords: PickleNode?
        /// One state for each BUILD, in order.
        public let states: [PickleNode]
        /// What it would be appended.
        public let items: [PickleNode]
        /// What would be set in it; equal keys are not resolved.
        public let pairs: [(key: PickleNode, value: PickleNode)]
        /// What would be added to it as to a set.
        public let adds: [PickleNode]
    }

    /// The parts of an object; nil for other kinds.
    public func object(_ node: PickleNode) -> Object? {
        let value = self.node(node)
        guard value.kind == .object else { return nil }
        let record = Int(value.first)
        let keywords = storage.tape.links[record + ObjectField.keywords]
        return Object(
            constructor: PickleConstructor(rawValue: storage.tape.links[record]) ?? .reduce,
            callable: PickleNode(index: storage.tape.links[record + ObjectField.callable]),
            arguments: PickleNode(index: storage.tape.links[record + ObjectField.arguments]),
            keywords: keywords == 0 ? nil : PickleNode(index: keywords),
            states: items(storage.tape.chain(ObjectField.states, ofRecord: value.first)),
            items: items(storage.tape.chain(ObjectField.items, ofRecord: value.first)),
            pairs: pairs(storage.tape.chain(ObjectField.pairs, ofRecord: value.first)),
            adds: items(storage.tape.chain(ObjectField.adds, ofRecord: value.first)))
    }
}
