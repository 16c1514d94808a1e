extension PickleDocument {
    /// A place in a chain of items: 16 bytes, no reference to the document, no allocation.
    package struct Cursor: BitwiseCopyable, Sendable {
        var at: UInt32
        var end: UInt32
        var nextSegment: UInt32
        /// Items that are still to come.
        package private(set) var remaining: UInt32

        init(_ chain: ItemChain) {
            at = 0
            end = 0
            nextSegment = chain.first
            remaining = chain.count
        }

        /// The next item, or nil at the end.
        @inline(__always) package mutating func next(in document: borrowing PickleDocument) -> Node? {
            while at == end {
                guard nextSegment != 0 else { return nil }
                at = nextSegment + 2
                end = at + document.machine.tape.links[nextSegment + 1]
                nextSegment = document.machine.tape.links[nextSegment]
            }
            let index = document.machine.tape.links[at]
            at += 1
            remaining &-= 1
            return Node(index: index)
        }
    }

    /// A place between the pairs of a dict.
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
        case .tuple, .list, .set, .frozenset: return Cursor(machine.tape.chain(of: value))
        default: return Cursor(ItemChain())
        }
    }

    /// The pairs of a dict, in order, each key once; none for other kinds.
    package func pairs(of node: Node) -> PairCursor {
        let value = tapeNode(node)
        guard value.kind == .dict else { return PairCursor(items: Cursor(ItemChain())) }
        return PairCursor(items: Cursor(machine.tape.chain(of: value)))
    }

    /// The first item of a tuple, list, set or frozenset.
    package func firstElement(of node: Node) -> Node? {
        var cursor = elements(of: node)
        return cursor.next(in: self)
    }
}
