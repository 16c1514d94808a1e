import Bytes

extension PickleDocument {
    /// The built-in value that an object holds, as far as the pickle shows it.
    package enum BuiltinContent {
        /// A scalar, tuple, list or dict: the content of a str, int, float or tuple subclass, a Counter, an enum member
        /// or a numpy scalar.
        case node(Node)
        /// The fields of a namedtuple, or the items of a list subclass.
        case items(Cursor)
        /// The pairs of a dict subclass, OrderedDict or defaultdict.
        case pairs(PairCursor)
        /// The pairs of an OrderedDict as Python 2 writes it: a list of two-item lists.
        case pairList(Cursor)
    }

    /// The built-in value that an object holds; nil if `json.dumps` would refuse it or the pickle does not show it.
    ///
    /// A pickle does not say which base classes a class has. An object like `Color("red")` is taken for an enum member
    /// that is also a str, because such members are published as JSON; classes of the standard library that look the same
    /// (a path, an address) are told apart by their module.
    package func builtinContent(of node: Node) -> BuiltinContent? {
        guard let parts = object(node) else { return nil }
        switch parts.constructor {
        case .reduce: return reducedContent(parts)
        case .newObj: return newObjectContent(parts, skipping: 0)
        case .newObjEx, .inst, .obj: return nil
        }
    }

    /// The elements of a tuple, of a namedtuple, or of another tuple subclass; nil for everything else.
    package func tupleElements(of node: Node) -> Cursor? {
        let value = tapeNode(node)
        if value.kind == .tuple { return elements(of: node) }
        guard value.kind == .object, let parts = object(node), parts.items.remaining == 0 else { return nil }
        switch builtinContent(of: node) {
        case .items(let items): return items
        case .node(let content) where tapeNode(content).kind == .tuple: return elements(of: content)
        default: return nil
        }
    }

    private func reducedContent(_ parts: ObjectParts) -> BuiltinContent? {
        guard tapeNode(parts.callable).kind == .global else { return enumContent(parts, elements(of: parts.arguments)) }
        var arguments = elements(of: parts.arguments)
        let count = arguments.remaining
        switch WellKnownName(tapeNode(parts.callable)) {
        case .orderedDict:
            guard count > 0 else { return .pairs(parts.pairs) }
            guard count == 1, let list = arguments.next(in: self), tapeNode(list).kind == .list else { return nil }
            return .pairList(elements(of: list))
        case .defaultDict:
            return count <= 1 ? .pairs(parts.pairs) : nil
        case .counter:
            guard count == 1, let counts = arguments.next(in: self) else {
                return count == 0 ? .pairs(parts.pairs) : nil
            }
            return tapeNode(counts).kind == .dict ? .node(counts) : nil
        case .reconstructor:
            guard count == 3, arguments.next(in: self) != nil, let base = arguments.next(in: self),
                let content = arguments.next(in: self)
            else { return nil }
            return isContent(tapeNode(content), of: WellKnownName(tapeNode(base))) ? .node(content) : nil
        case .newObj:
            return newObjectContent(parts, skipping: 1)
        case .numpyScalar:
            return parts.content.map { .node($0) }
        case .other:
            return enumContent(parts, arguments)
        default:
            return nil
        }
    }

    /// True if `_reconstructor(Class, base, content)` has content of the base's type.
    private func isContent(_ content: TapeNode, of base: WellKnownName) -> Bool {
        switch base {
        case .dict: content.kind == .dict
        case .list: content.kind == .list
        case .tuple: content.kind == .tuple
        case .text: content.kind == .str || content.kind == .byteString
        case .integer: content.kind == .int
        case .float: content.kind == .float
        case .bytes: content.kind == .bytes
        default: false
        }
    }

    /// The module of a class, also of a nested one, which protocols below 4 spell `getattr(Outer, "Inner")`; nil for
    /// methods.
    private func module(ofClass node: Node) -> UnsafeRawBufferPointer? {
        var node = node
        // Hostile pickles nest them a thousand deep for each value.
        for _ in 0..<8 {
            guard let parts = object(node) else { break }
            var arguments = elements(of: parts.arguments)
            guard WellKnownName(tapeNode(parts.callable)) == .attribute, let owner = arguments.next(in: self),
                let name = unsafe arguments.next(in: self).flatMap({ unsafe bytes(of: $0) })?.first,
                (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(name)
            else { return nil }
            node = owner
        }
        return unsafe global(node)?.module
    }

    /// `Class(value)` with one number or text and nothing else: an enum member.
    private func enumContent(_ parts: ObjectParts, _ arguments: Cursor) -> BuiltinContent? {
        var arguments = arguments
        guard arguments.remaining == 1, let value = arguments.next(in: self), parts.states.remaining == 0,
            parts.items.remaining == 0, parts.pairs.items.remaining == 0, parts.adds.remaining == 0,
            let module = unsafe module(ofClass: parts.callable), unsafe !LibraryModule.contains(module)
        else { return nil }
        switch tapeNode(value).kind {
        case .int, .str, .float, .byteString: return .node(value)
        default: return nil
        }
    }

    private func newObjectContent(_ parts: ObjectParts, skipping: Int) -> BuiltinContent? {
        var arguments = elements(of: parts.arguments)
        for _ in 0..<skipping { _ = arguments.next(in: self) }
        if arguments.remaining == 0 {
            if parts.pairs.items.remaining > 0 { return .pairs(parts.pairs) }
            return parts.items.remaining > 0 ? .items(parts.items) : nil
        }
        let fields = arguments
        if fields.remaining == 1, let content = arguments.next(in: self) {
            switch tapeNode(content).kind {
            case .int, .str, .float, .byteString, .bytes, .tuple: return .node(content)
            default: break
            }
        }
        // A namedtuple has no state; an object with a state has arguments, not fields.
        return parts.states.remaining == 0 ? .items(fields) : nil
    }

    /// An error about a node, with its type and, if it has a name, the offset of the name.
    func refusal(_ cause: PickleJSONError.Cause, _ node: Node) -> PickleJSONError {
        PickleJSONError(cause, typeName(of: node), byteOffset: byteOffset(of: node), advice: advice(on: node))
    }

    /// Names the value to publish instead of a refused one; nil if there is no better advice than built-in types.
    private func advice(on node: Node) -> String? {
        switch kind(of: node) {
        case .global: return "publish dicts, lists, text, numbers; of an enum member its .value"
        case .object: break
        default: return nil
        }
        guard let parts = object(node), kind(of: parts.callable) == .global else { return nil }
        switch WellKnownName(tapeNode(parts.callable)) {
        case .numpyScalar:
            let letter = numpyType(of: parts)?.letter ?? 0
            let isNumber = "biuf".utf8.contains(letter)
            return isNumber ? "publish its .item(), which is a value of Python's own" : "publish str() of its .item()"
        case .numpyArray: return "publish its .tolist()"
        case .attribute:
            return "if it is an enum member, publish its .value: Python 3.11.0 to 3.11.3 pickles members by name only"
        default: return nil
        }
    }

    private func numpyType(of parts: ObjectParts) -> NumPyType? {
        var arguments = elements(of: parts.arguments)
        return arguments.next(in: self).flatMap { NumPyType(UInt32($0.index), in: machine.tape) }
    }

    /// The offset of the name of a class or function in the pickle; nil for values without a name.
    private func byteOffset(of node: Node) -> Int? {
        switch kind(of: node) {
        case .global:
            let input = unsafe machine.tape.input
            guard let start = input.baseAddress, let name = unsafe global(node)?.module.baseAddress else { return nil }
            let offset = unsafe name - start
            return (0..<input.count).contains(offset) ? offset : nil
        case .object: return object(node).flatMap { byteOffset(of: $0.callable) }
        default: return nil
        }
    }

    private static func printable(_ name: UnsafeRawBufferPointer) -> String {
        unsafe PrintableText.line(name.assumingMemoryBound(to: UInt8.self).span, maximumCharacters: 80)
    }

    /// The type of a node in Python's words, for messages.
    package func typeName(of node: Node) -> String {
        switch kind(of: node) {
        case .none: return "None"
        case .byteString: return "Python 2 str"
        case .persistentID: return "persistent id"
        case .global:
            guard let name = unsafe global(node) else { return "name" }
            return unsafe Self.printable(name.module) + "." + Self.printable(name.name)
        case .object:
            guard let parts = object(node), kind(of: parts.callable) == .global else { return "object" }
            switch WellKnownName(tapeNode(parts.callable)) {
            case .numpyScalar: return "numpy." + (numpyType(of: parts)?.className ?? "generic")
            case .numpyArray: return "numpy.ndarray"
            case .attribute:
                var arguments = elements(of: parts.arguments)
                guard let owner = arguments.next(in: self), kind(of: owner) == .global,
                    let name = unsafe arguments.next(in: self).flatMap({ unsafe bytes(of: $0) })
                else { return typeName(of: parts.callable) }
                return unsafe typeName(of: owner) + "." + Self.printable(name)
            default: return typeName(of: parts.callable)
            }
        default:
            return "\(kind(of: node))"
        }
    }
}

/// Modules whose classes look like `Class("text")` in a pickle without being enums of text.
enum LibraryModule {
    /// True if the package a module belongs to is one of them.
    static func contains(_ module: UnsafeRawBufferPointer) -> Bool {
        let top =
            unsafe module.firstIndex(of: 0x2e).map { unsafe UnsafeRawBufferPointer(rebasing: module[..<$0]) }
            ?? module
        for name in names where unsafe equalBytes(top, name) { return true }
        return false
    }

    private static let names: [StaticString] = [
        "builtins", "__builtin__", "exceptions", "pathlib", "ipaddress", "zoneinfo", "datetime", "decimal", "_decimal",
        "_pydecimal", "fractions", "uuid", "array", "collections", "_collections", "functools", "operator", "_operator",
        "types", "re", "os", "posix", "copyreg", "copy_reg", "itertools", "random", "numpy", "pandas", "dateutil",
        "pytz", "codecs", "_codecs", "io", "_io", "string", "time", "weakref", "typing", "enum",
    ]
}
