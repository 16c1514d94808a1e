extension PickleDocument {
    /// A position among items: 16 bytes, no reference to the document, no allocation.
    package struct Cursor: BitwiseCopyable, Sendable {
        private var items: TapeCursor
        /// Items that are still to come.
        package var remaining: UInt32 { items.remaining }

        init(_ chain: ItemChain) {
            items = TapeCursor(chain)
        }

        /// The next item, or nil at the end.
        @inline(__always) package mutating func next(in document: borrowing PickleDocument) -> Node? {
            items.next(in: document.machine.tape).map { Node(index: $0) }
        }
    }

    /// A position between the pairs of a dict.
    package struct PairCursor: BitwiseCopyable, Sendable {
        var items: Cursor

        /// The next key and value, or nil at the end.
        @inline(__always)
        package mutating func next(in document: borrowing PickleDocument) -> (key: Node, value: Node)? {
            guard let key = items.next(in: document), let value = items.next(in: document) else { return nil }
            return (key, value)
        }
    }

    /// The items of a tuple, list, set or frozenset, as `while let item = cursor.next(in: document)`; none for other kinds.
    package func elements(of node: Node) -> Cursor {
        let value = tapeNode(node)
        switch value.kind {
        case .tuple, .list, .set, .frozenset: return Cursor(value.chain)
        default: return Cursor(ItemChain())
        }
    }

    /// The pairs of a dict, in order, each key once; none for other kinds.
    package func pairs(of node: Node) -> PairCursor {
        let value = tapeNode(node)
        guard value.kind == .dict else { return PairCursor(items: Cursor(ItemChain())) }
        return PairCursor(items: Cursor(value.chain))
    }

    /// The first item of a tuple, list, set or frozenset.
    package func firstElement(of node: Node) -> Node? {
        var cursor = elements(of: node)
        return cursor.next(in: self)
    }
}
