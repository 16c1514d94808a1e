import Bytes

extension PickleDocument {
    @inline(__always) func tapeNode(_ node: Node) -> TapeNode { machine.tape.nodes[node.index] }

    /// The kind of a node.
    package func kind(of node: Node) -> PickleKind { tapeNode(node).kind }

    /// The value of an int, also of a bool as Python has it; nil for other kinds and beyond 64 bits.
    package func int64(_ node: Node) -> Int64? {
        let value = tapeNode(node)
        switch value.kind {
        case .int: return value.flags.contains(.big) ? nil : Int64(bitPattern: value.word)
        case .bool: return Int64(value.first)
        default: return nil
        }
    }

    /// The bytes of an int beyond 64 bits: minimal two's complement, little-endian.
    package func bigInteger(_ node: Node) -> UnsafeRawBufferPointer? {
        let value = tapeNode(node)
        guard value.kind == .int, value.flags.contains(.big) else { return nil }
        return unsafe machine.tape.content(of: value)
    }

    /// The value of a float, bit for bit; nil for other kinds.
    package func double(_ node: Node) -> Double? {
        let value = tapeNode(node)
        return value.kind == .float ? Double(bitPattern: value.word) : nil
    }

    /// The value of a bool; nil for other kinds.
    package func bool(_ node: Node) -> Bool? {
        let value = tapeNode(node)
        return value.kind == .bool ? value.first != 0 : nil
    }

    /// The content of str (UTF-8 in which surrogates may stand), Python 2 str, bytes or bytearray.
    package func bytes(of node: Node) -> UnsafeRawBufferPointer? {
        let value = tapeNode(node)
        switch value.kind {
        case .str, .byteString, .bytes, .bytearray: return unsafe machine.tape.content(of: value)
        default: return nil
        }
    }

    /// The content of a str as a text that compares bytewise; also of a Python 2 str that is ASCII.
    package func byteString(_ node: Node) -> ByteString? {
        guard isText(tapeNode(node)) else { return nil }
        return unsafe ByteString(machine.tape.content(of: tapeNode(node)))
    }

    /// True if a node is a str, or a Python 2 str that is ASCII, which CPython 3 reads as one.
    package func isText(_ node: Node) -> Bool { isText(tapeNode(node)) }

    func isText(_ value: TapeNode) -> Bool {
        unsafe value.kind == .str || value.kind == .byteString && WTF8.isASCII(machine.tape.content(of: value))
    }

    /// Items of a tuple, list, set or frozenset, pairs of a dict; 0 for other kinds.
    package func count(of node: Node) -> Int {
        let value = tapeNode(node)
        switch value.kind {
        case .tuple, .list, .set, .frozenset: return Int(value.count)
        case .dict: return Int(value.count) / 2
        default: return 0
        }
    }

    /// The value of a text key of a dict; nil when there is none.
    ///
    /// A Python 2 str key counts when its bytes are the key's. Linear in the pairs.
    package func value(forKey key: StaticString, in dict: Node) -> Node? {
        let node = tapeNode(dict)
        guard node.kind == .dict else { return nil }
        var found: Node?
        var pairs = PairCursor(items: Cursor(node.chain))
        while let pair = pairs.next(in: self) {
            let name = tapeNode(pair.key)
            if name.kind == .str || name.kind == .byteString, unsafe equalBytes(machine.tape.content(of: name), key) {
                found = pair.value
            }
        }
        return found
    }

    /// Module and name of a global, UTF-8; nil for other kinds.
    package func global(_ node: Node) -> (module: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer)? {
        let value = tapeNode(node)
        guard value.kind == .global else { return nil }
        return unsafe (
            machine.tape.content(of: machine.tape.nodes[value.first]),
            machine.tape.content(of: machine.tape.nodes[value.last])
        )
    }

    /// The id of a persistent reference; nil for other kinds.
    package func persistentID(_ node: Node) -> Node? {
        let value = tapeNode(node)
        return value.kind == .persistentID ? Node(index: value.first) : nil
    }
}

extension PickleDocument {
    /// The parts of an object as the pickle has them. Nothing was called.
    package struct ObjectParts {
        /// How it was made.
        package let constructor: PickleConstructor
        /// The class or callable: a global, or another object.
        package let callable: Node
        /// The argument tuple.
        package let arguments: Node
        /// The keyword dict of NEWOBJ_EX.
        package let keywords: Node?
        /// One state for each BUILD, in order.
        package let states: Cursor
        /// The items of APPEND and APPENDS.
        package let items: Cursor
        /// The pairs of SETITEM and SETITEMS as written: equal keys are not resolved.
        package let pairs: PairCursor
        /// The elements of ADDITEMS.
        package let adds: Cursor
        /// The float, str or bytes that a numpy scalar is (float64, str_ and bytes_ only).
        package let content: Node?
    }

    /// The parts of an object; nil for other kinds.
    package func object(_ node: Node) -> ObjectParts? {
        let value = tapeNode(node)
        guard value.kind == .object else { return nil }
        let record = Int(value.first)
        let keywords = machine.tape.links[record + ObjectField.keywords]
        let content = machine.tape.links[record + ObjectField.content]
        return ObjectParts(
            constructor: PickleConstructor(rawValue: machine.tape.links[record]) ?? .reduce,
            callable: Node(index: machine.tape.links[record + ObjectField.callable]),
            arguments: Node(index: machine.tape.links[record + ObjectField.arguments]),
            keywords: keywords == 0 ? nil : Node(index: keywords),
            states: Cursor(machine.tape.chain(ObjectField.states, ofRecord: value.first)),
            items: Cursor(machine.tape.chain(ObjectField.items, ofRecord: value.first)),
            pairs: PairCursor(items: Cursor(machine.tape.chain(ObjectField.pairs, ofRecord: value.first))),
            adds: Cursor(machine.tape.chain(ObjectField.adds, ofRecord: value.first)),
            content: content == 0 ? nil : Node(index: content))
    }
}

extension PickleDocument {
    /// A position among items.
    package typealias Cursor = TapeCursor

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
}
