// Views of the collections of Python's standard library: nil if the object is something else.
extension PickleValue {
    private var parts: PickleObject? {
        if case .object(let object) = self { return object }
        return nil
    }

    /// The object if it is `module.name(...)` by REDUCE.
    func call(_ module: String, _ name: String) -> PickleObject? {
        guard let object = parts, object.constructor == .reduce, let own = object.name,
            own == PickleName(module: module, name: name)
        else { return nil }
        return object
    }

    /// The pairs of a dict, OrderedDict, defaultdict, Counter or dict subclass.
    public var mapping: PickleDict? {
        if case .dict(let dict) = self { return dict }
        if let dict = orderedDict ?? defaultDict?.pairs ?? counter { return dict }
        guard let object = parts, object.constructor == .newObj, object.arguments.isEmpty, !object.pairs.isEmpty else {
            return nil
        }
        return PickleDict(object.pairs)
    }

    /// A `collections.OrderedDict`, as Python 3 or Python 2 writes it.
    public var orderedDict: PickleDict? {
        guard let object = call("collections", "OrderedDict") else { return nil }
        guard let argument = object.arguments.first else { return PickleDict(object.pairs) }
        guard object.arguments.count == 1, case .list(let rows) = argument else { return nil }
        var pairs: [PickleDict.Pair] = []
        for row in rows {
            guard case .list(let pair) = row, pair.count == 2 else { return nil }
            pairs.append(.init(key: pair[0], value: pair[1]))
        }
        return PickleDict(pairs)
    }

    /// A `collections.defaultdict`: its factory, if it has one, and its pairs.
    public var defaultDict: (factory: PickleName?, pairs: PickleDict)? {
        guard let object = call("collections", "defaultdict"), object.arguments.count <= 1 else { return nil }
        switch object.arguments.first {
        case nil, PickleValue.null?: return (nil, PickleDict(object.pairs))
        case .global(let name)?: return (name, PickleDict(object.pairs))
        default: return nil
        }
    }

    /// A `collections.Counter`: elements and their counts.
    public var counter: PickleDict? {
        guard let object = call("collections", "Counter"), object.arguments.count == 1,
            case .dict(let counts) = object.arguments[0]
        else { return nil }
        return counts
    }

    /// A `collections.deque`: its items, and its maximum length if it has one.
    public var deque: (items: [PickleValue], maximumLength: Int?)? {
        guard let object = call("collections", "deque") else { return nil }
        switch object.arguments.count {
        case 0: return (object.items, nil)
        case 1, 2:
            var items: [PickleValue]
            switch object.arguments[0] {
            case .list(let own), .tuple(let own): items = own
            default: return nil
            }
            items += object.items
            if object.arguments.count == 1 { return (items, nil) }
            if object.arguments[1].isNone { return (items, nil) }
            guard let length = object.arguments[1].int else { return nil }
            return (items, length)
        default: return nil
        }
    }

    /// The class and fields of an object that may be a namedtuple or another tuple subclass.
    public var namedTuple: (type: PickleName, fields: [PickleValue])? {
        guard let object = parts else { return nil }
        if object.constructor == .newObj, let name = object.name, !object.arguments.isEmpty, object.items.isEmpty,
            object.pairs.isEmpty
        {
            return (name, object.arguments)
        }
        // Protocols 0 and 1: copyreg._reconstructor(Class, tuple, (fields...)).
        guard let name = object.name, name.name == "_reconstructor", object.arguments.count == 3,
            case .global(let type) = object.arguments[0], case .global(let base) = object.arguments[1],
            base.name == "tuple", case .tuple(let fields) = object.arguments[2]
        else { return nil }
        return (type, fields)
    }

    /// The class and value of an object that may be an enum member: `Class(value)` and nothing else.
    public var enumMember: (type: PickleName, value: PickleValue)? {
        guard let object = parts, object.constructor == .reduce, let name = object.name, object.arguments.count == 1,
            object.states.isEmpty, object.items.isEmpty, object.pairs.isEmpty, object.adds.isEmpty
        else { return nil }
        let isLibrary = unsafe Array(name.module.utf8).withUnsafeBytes { unsafe LibraryModule.contains($0) }
        return isLibrary ? nil : (name, object.arguments[0])
    }
}
