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
        /// The value of Python's own that a numpy scalar is, which nobody gave it: float64, str_ and bytes_ only.
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
