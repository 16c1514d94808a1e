extension JSONDocument {
    /// The elements of an array in order; nothing for other kinds. Valid until the next `parse`.
    package func elements(of array: Node) -> Elements {
        let entry = self[array]
        guard entry.kind == .array else {
            return unsafe Elements(nodes: UnsafePointer(nodes.base), position: 0, end: 0)
        }
        return unsafe Elements(nodes: UnsafePointer(nodes.base), position: array.index + 1, end: entry.link)
    }

    /// The members of an object in Python's order: of a key that stands several times, the last value at the first
    /// place. Nothing for other kinds. Valid until the next `parse`.
    package func members(of object: Node) -> Members {
        let entry = self[object]
        guard entry.kind == .object else {
            return unsafe Members(nodes: UnsafePointer(nodes.base), position: 0, end: 0)
        }
        return unsafe Members(nodes: UnsafePointer(nodes.base), position: object.index + 1, end: entry.link)
    }

    /// The value of a key, nil if there is none or the node isn't an object. The last duplicate wins.
    package func value(forKey key: StaticString, in object: Node) -> Node? {
        key.withUTF8Buffer { unsafe value(forKey: UnsafeRawBufferPointer($0), in: object) }
    }

    /// The same for a key as WTF-8.
    package func value(forKey key: UnsafeRawBufferPointer, in object: Node) -> Node? {
        for (name, value) in members(of: object) where unsafe content(of: self[name], equals: key) { return value }
        return nil
    }

    /// Walks an array without allocating.
    @safe package struct Elements: Sequence, IteratorProtocol {
        let nodes: UnsafePointer<JSONTapeNode>
        var position: UInt32
        let end: UInt32

        package mutating func next() -> Node? {
            guard position < end else { return nil }
            let node = Node(index: position)
            position = unsafe nodes[Int(position)].link
            return node
        }
    }

    /// Walks an object without allocating.
    @safe package struct Members: Sequence, IteratorProtocol {
        let nodes: UnsafePointer<JSONTapeNode>
        var position: UInt32
        let end: UInt32

        package mutating func next() -> (key: Node, value: Node)? {
            while position < end {
                let key = unsafe nodes[Int(position)]
                let node = Node(index: position)
                position = unsafe nodes[Int(position) + 1].link
                if !key.flags.contains(.isSuperseded) { return (node, Node(index: key.link)) }
            }
            return nil
        }
    }
}
