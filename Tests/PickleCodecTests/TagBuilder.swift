import Foundation

@testable import PickleCodec

/// Builds the graph of a tagged value (`Tests/Fixtures/README.md`).
struct TagBuilder: ~Copyable {
    var builder = PickleGraph.Builder()
    private var places: [Int: PickleNode] = [:]

    typealias Tag = [String: Any]

    consuming func finish(_ tag: Tag) -> PickleGraph {
        let root = build(tag)
        return builder.finish(root: root)
    }

    private mutating func build(_ tag: Tag) -> PickleNode {
        let id = tag["id"] as? Int
        func note(_ node: PickleNode, _ places: inout [Int: PickleNode]) -> PickleNode {
            if let id { places[id] = node }
            return node
        }
        // An object is made of finished parts but may also occur within them, so its number is reserved first.
        if let id, ["tuple", "frozenset", "obj"].contains(tag["t"] as? String) {
            let place = builder.tuple([])
            places[id] = place
            var inner = tag
            inner["id"] = nil
            let node = tag["t"] as? String == "obj" ? object(tag, place) : build(inner)
            if node != place { builder.tape.nodes[place.index] = builder.tape.nodes[node.index] }
            return place
        }
        switch tag["t"] as? String {
        case "ref": return places[tag["id"] as? Int ?? -1] ?? builder.none
        case "bool": return builder.bool(tag["v"] as? Bool ?? false)
        case "int": return builder.int(twosComplement: Self.integer(tag))
        case "float":
            return builder.float(Double(bitPattern: (tag["bits"] as? String).flatMap { UInt64($0, radix: 16) } ?? 0))
        case "str": return builder.string(wtf8: TagComparison.content(tag))
        case "bytes": return builder.bytes(TagComparison.content(tag))
        case "bstr": return builder.byteString(TagComparison.content(tag))
        case "bytearray": return note(builder.bytearray(TagComparison.content(tag)), &places)
        case "global": return builder.global(name(tag))
        case "persid": return builder.persistentID(build(tag["pid"] as? Tag ?? [:]))
        case "list", "set":
            let node = note(tag["t"] as? String == "list" ? builder.list() : builder.set(), &places)
            for item in items(tag["v"]) { builder.append(item, to: node) }
            return node
        case "tuple": return builder.tuple(items(tag["v"]))
        case "frozenset": return builder.frozenset(items(tag["v"]))
        case "dict":
            let node = note(builder.dict(), &places)
            for pair in tag["v"] as? [[Tag]] ?? [] {
                let key = build(pair[0])
                builder.setValue(build(pair[1]), forKey: key, in: node)
            }
            return node
        case "obj": return object(tag)
        case "deep": return deep(tag)
        default: return builder.none
        }
    }

    private func name(_ tag: Tag) -> PickleName {
        PickleName(module: tag["module"] as? String ?? "", name: tag["name"] as? String ?? "")
    }

    private mutating func items(_ tags: Any?) -> [PickleNode] {
        var nodes: [PickleNode] = []
        for tag in tags as? [Tag] ?? [] {
            if tag["t"] as? String == "repeat" {
                for _ in 0..<(tag["n"] as? Int ?? 0) { nodes.append(build(tag["v"] as? Tag ?? [:])) }
            } else {
                nodes.append(build(tag))
            }
        }
        return nodes
    }

    private mutating func deep(_ tag: Tag) -> PickleNode {
        var node = build(tag["v"] as? Tag ?? [:])
        for _ in 0..<(tag["n"] as? Int ?? 0) {
            switch tag["of"] as? String {
            case "tuple": node = builder.tuple([node])
            case "dict": node = builder.dict([(build(tag["key"] as? Tag ?? [:]), node)])
            default: node = builder.list([node])
            }
        }
        return node
    }

    /// An object, with the reserved number if there is one.
    private mutating func object(_ tag: Tag, _ place: PickleNode? = nil) -> PickleNode {
        let constructors: [String: PickleConstructor] = [
            "reduce": .reduce, "newobj": .newObj, "newobj_ex": .newObjEx, "inst": .inst, "obj": .obj,
        ]
        let callable = build(tag["class"] as? Tag ?? [:])
        let arguments = build(tag["args"] as? Tag ?? [:])
        let keywords = (tag["kwargs"] as? Tag).map { build($0) }
        var node = builder.object(
            constructors[tag["ctor"] as? String ?? ""] ?? .reduce, callable, arguments: arguments, keywords: keywords)
        if let place {
            builder.tape.nodes[place.index] = builder.tape.nodes[node.index]
            node = place
        }
        for state in items(tag["build"]) { builder.setState(state, of: node) }
        for item in items(tag["items"]) { builder.append(item, to: node) }
        for item in items(tag["adds"]) { builder.add(item, toSetLike: node) }
        for pair in tag["pairs"] as? [[Tag]] ?? [] {
            let key = build(pair[0])
            builder.setValue(build(pair[1]), forKey: key, in: node)
        }
        return node
    }

    private static func integer(_ tag: Tag) -> [UInt8] {
        guard let text = tag["v"] as? String else { return FixtureRecord.bytes(tag["le"] as? String ?? "") }
        let graph = try? PickleGraph(decoding: Array("L\(text)\n.".utf8))
        return graph.flatMap { $0.integerBytes($0.root) } ?? []
    }
}
