extension PickleGraph {
    /// The kind of a value.
    public func kind(of node: PickleNode) -> PickleKind { storage.document.kind(of: node) }

    /// The items of a tuple, list, set or frozenset in order; empty for other kinds.
    public func elements(of node: PickleNode) -> [PickleNode] { items(storage.document.elements(of: node)) }

    /// The pairs of a dict in order, each key once; empty for other kinds.
    public func pairs(of node: PickleNode) -> [(key: PickleNode, value: PickleNode)] {
        pairs(storage.document.pairs(of: node))
    }

    private func items(_ cursor: PickleDocument.Cursor) -> [PickleNode] {
        var cursor = cursor
        var items: [PickleNode] = []
        items.reserveCapacity(Int(cursor.remaining))
        while let item = cursor.next(in: storage.document) { items.append(item) }
        return items
    }

    private func pairs(_ cursor: PickleDocument.PairCursor) -> [(key: PickleNode, value: PickleNode)] {
        let flat = items(cursor.items)
        return stride(from: 0, to: flat.count & ~1, by: 2).map { (flat[$0], flat[$0 + 1]) }
    }

    /// The value of an int that fits, or of a bool; nil otherwise.
    public func int(_ node: PickleNode) -> Int? { storage.document.int64(node).map { Int(truncatingIfNeeded: $0) } }

    /// The value of a bool; nil for other kinds.
    public func bool(_ node: PickleNode) -> Bool? { storage.document.bool(node) }

    /// The value of a float, bit for bit; nil for other kinds.
    public func double(_ node: PickleNode) -> Double? { storage.document.double(node) }

    /// An int of any size as minimal two's complement, little-endian; nil for other kinds.
    public func integerBytes(_ node: PickleNode) -> [UInt8]? {
        guard kind(of: node) == .int else { return nil }
        if let bytes = unsafe storage.document.bigInteger(node) { return unsafe Array(bytes) }
        return unsafe withUnsafeBytes(of: storage.document.tapeNode(node).word.littleEndian) { bytes in
            unsafe Array(bytes.prefix(TwosComplement.minimalLength(bytes)))
        }
    }

    /// The bytes of a str (UTF-8 in which surrogates may stand), Python 2 str, bytes or bytearray; nil for other kinds.
    public func bytes(_ node: PickleNode) -> [UInt8]? {
        unsafe storage.document.bytes(of: node).map { unsafe Array($0) }
    }

    /// The text of a str; nil for other kinds and where a lone surrogate stands in it.
    public func string(_ node: PickleNode) -> String? {
        guard kind(of: node) == .str, let bytes = unsafe storage.document.bytes(of: node) else { return nil }
        return unsafe String(validating: bytes, as: UTF8.self)
    }

    /// Module and name of a global; nil for other kinds.
    public func global(_ node: PickleNode) -> PickleName? {
        guard kind(of: node) == .global else { return nil }
        return storage.document.machine.tape.name(of: storage.document.tapeNode(node))
    }

    /// The id of a persistent reference; nil for other kinds.
    public func persistentID(_ node: PickleNode) -> PickleNode? { storage.document.persistentID(node) }

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
        /// The items that would be appended to it.
        public let items: [PickleNode]
        /// The pairs that would be set in it; equal keys are not resolved.
        public let pairs: [(key: PickleNode, value: PickleNode)]
        /// The elements that would be added to it as to a set.
        public let adds: [PickleNode]
    }

    /// The parts of an object; nil for other kinds.
    public func object(_ node: PickleNode) -> Object? {
        guard let parts = storage.document.object(node) else { return nil }
        return Object(
            constructor: parts.constructor, callable: parts.callable, arguments: parts.arguments,
            keywords: parts.keywords, states: items(parts.states), items: items(parts.items),
            pairs: pairs(parts.pairs), adds: items(parts.adds))
    }
}
