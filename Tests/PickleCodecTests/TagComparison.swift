import Bytes
import Foundation

@testable import PickleCodec

/// Compares a document with the tagged value of a fixture (`Tests/Fixtures/README.md`), identity included.
struct TagComparison: ~Copyable {
    private var places: [Int: PickleDocument.Node] = [:]
    private var met: Set<PickleDocument.Node> = []

    typealias Tag = [String: Any]

    /// Nil if equal, otherwise a description of the difference.
    mutating func difference(
        _ tag: Tag, _ node: PickleDocument.Node, in document: borrowing PickleDocument, path: String = "$"
    ) -> String? {
        let name = tag["t"] as? String ?? "?"
        if name == "ref" { return reference(tag, node, document, path) }
        if name == "deep" { return deep(tag, node, document, path) }
        let kind = document.kind(of: node)
        guard Self.names[kind] == name else { return "\(path): \(kind) instead of \(name)" }
        if Self.mutable.contains(kind), !met.insert(node).inserted { return "\(path): identity of a \(kind)" }
        if let id = tag["id"] as? Int { places[id] = node }
        switch kind {
        case .none: return nil
        case .bool: return document.bool(node) == tag["v"] as? Bool ? nil : "\(path): bool"
        case .int: return Self.integerText(node, document) == Self.integerText(tag) ? nil : "\(path): int"
        case .float: return floatDifference(tag, document.double(node), path)
        case .str, .bytes, .bytearray, .byteString:
            let bytes = document.bytes(of: node).map { Array($0) }
            return bytes == Self.content(tag) ? nil : "\(path): content of \(kind)"
        case .list, .tuple, .set, .frozenset:
            return items(tag["v"], document.elements(of: node), document, path)
        case .dict: return pairs(tag["v"], document.pairs(of: node), document, path)
        case .global:
            guard let names = document.global(node) else { return "\(path): no name" }
            let text = [names.module, names.name].map { String(decoding: $0, as: UTF8.self) }
            return text == [tag["module"] as? String, tag["name"] as? String] ? nil : "\(path): name \(text)"
        case .persistentID:
            guard let id = document.persistentID(node), let wanted = tag["pid"] as? Tag else { return "\(path): id" }
            return difference(wanted, id, in: document, path: path + ".pid")
        case .object: return object(tag, node, document, path)
        }
    }

    private static let mutable: Set<PickleKind> = [.list, .dict, .set, .bytearray, .object]
    private static let names: [PickleKind: String] = [
        .none: "none", .bool: "bool", .int: "int", .float: "float", .str: "str", .byteString: "bstr", .bytes: "bytes",
        .bytearray: "bytearray", .tuple: "tuple", .list: "list", .dict: "dict", .set: "set", .frozenset: "frozenset",
        .global: "global", .object: "obj", .persistentID: "persid",
    ]

    private mutating func reference(
        _ tag: Tag, _ node: PickleDocument.Node, _ document: borrowing PickleDocument, _ path: String
    ) -> String? {
        guard let id = tag["id"] as? Int, let place = places[id] else { return "\(path): unknown ref" }
        return place == node ? nil : "\(path): another object than id \(id)"
    }

    private mutating func deep(
        _ tag: Tag, _ node: PickleDocument.Node, _ document: borrowing PickleDocument, _ path: String
    ) -> String? {
        var node = node
        for level in 0..<(tag["n"] as? Int ?? 0) {
            guard Self.names[document.kind(of: node)] == tag["of"] as? String, document.count(of: node) == 1 else {
                return "\(path): level \(level)"
            }
            if document.kind(of: node) == .dict {
                var cursor = document.pairs(of: node)
                guard let (key, value) = cursor.next(in: document), let wanted = tag["key"] as? Tag else {
                    return "key"
                }
                if let found = difference(wanted, key, in: document, path: path) { return found }
                node = value
            } else {
                var items = document.elements(of: node)
                if let inner = items.next(in: document) { node = inner }
            }
        }
        guard let inner = tag["v"] as? Tag else { return "\(path): no inner value" }
        return difference(inner, node, in: document, path: path + ".deep")
    }

    private mutating func items(
        _ tags: Any?, _ cursor: PickleDocument.Cursor, _ document: borrowing PickleDocument, _ path: String
    ) -> String? {
        var cursor = cursor
        for (place, tag) in (tags as? [Tag] ?? []).enumerated() {
            let repeated = tag["t"] as? String == "repeat"
            guard let wanted = repeated ? tag["v"] as? Tag : tag else { return "\(path): bad tag" }
            for _ in 0..<(repeated ? tag["n"] as? Int ?? 0 : 1) {
                guard let node = cursor.next(in: document) else { return "\(path): too few items" }
                if let found = difference(wanted, node, in: document, path: "\(path).\(place)") { return found }
            }
        }
        return cursor.next(in: document) == nil ? nil : "\(path): too many items"
    }

    private mutating func pairs(
        _ tags: Any?, _ cursor: PickleDocument.PairCursor, _ document: borrowing PickleDocument, _ path: String
    ) -> String? {
        var cursor = cursor
        for (place, pair) in (tags as? [[Tag]] ?? []).enumerated() {
            guard let (key, value) = cursor.next(in: document) else { return "\(path): too few pairs" }
            if let found = difference(pair[0], key, in: document, path: "\(path).key\(place)") { return found }
            if let found = difference(pair[1], value, in: document, path: "\(path).value\(place)") { return found }
        }
        return cursor.next(in: document) == nil ? nil : "\(path): too many pairs"
    }

    private mutating func object(
        _ tag: Tag, _ node: PickleDocument.Node, _ document: borrowing PickleDocument, _ path: String
    ) -> String? {
        guard let parts = document.object(node), let callable = tag["class"] as? Tag,
            let arguments = tag["args"] as? Tag
        else { return "\(path): no object" }
        let constructor: [PickleConstructor: String] = [
            .reduce: "reduce", .newObj: "newobj", .newObjEx: "newobj_ex", .inst: "inst", .obj: "obj",
        ]
        guard constructor[parts.constructor] == tag["ctor"] as? String else { return "\(path): \(parts.constructor)" }
        if let found = difference(callable, parts.callable, in: document, path: path + ".class") { return found }
        if let found = difference(arguments, parts.arguments, in: document, path: path + ".args") { return found }
        if let keywords = parts.keywords {
            guard let wanted = tag["kwargs"] as? Tag else { return "\(path): keywords" }
            if let found = difference(wanted, keywords, in: document, path: path + ".kwargs") { return found }
        }
        return items(tag["build"], parts.states, document, path + ".build")
            ?? items(tag["items"], parts.items, document, path + ".items")
            ?? items(tag["adds"], parts.adds, document, path + ".adds")
            ?? pairs(tag["pairs"], parts.pairs, document, path + ".pairs")
    }

    // MARK: Scalars

    private func floatDifference(_ tag: Tag, _ value: Double?, _ path: String) -> String? {
        guard let value, let bits = (tag["bits"] as? String).flatMap({ UInt64($0, radix: 16) }) else { return path }
        if value.isNaN, Double(bitPattern: bits).isNaN { return nil }
        return value.bitPattern == bits ? nil : "\(path): float \(value)"
    }

    static func integerText(_ node: PickleDocument.Node, _ document: borrowing PickleDocument) -> String {
        if let small = document.int64(node) { return String(small) }
        guard let bytes = document.bigInteger(node) else { return "?" }
        return decimal(Array(bytes))
    }

    private static func integerText(_ tag: Tag) -> String {
        if let text = tag["v"] as? String { return text }
        var bytes = FixtureRecord.bytes(tag["le"] as? String ?? "")
        bytes.withUnsafeBytes { bytes = Array($0.prefix(TwosComplement.minimalLength($0))) }
        return decimal(bytes)
    }

    private static func decimal(_ bytes: [UInt8]) -> String {
        guard bytes.count <= 4096 else { return "hex:" + bytes.map { String($0, radix: 16) }.joined(separator: ",") }
        var writer = JSONWriter()
        bytes.withUnsafeBytes { writer.appendDecimal(twosComplement: $0) }
        return String(decoding: writer.copyBytes(), as: UTF8.self)
    }

    static func content(_ tag: Tag) -> [UInt8] {
        let once: [UInt8]
        if let text = tag["v"] as? String {
            once = Array(text.utf8)
        } else if let base64 = tag["b64"] as? String {
            once = FixtureRecord.bytes(base64)
        } else {
            let digits = Array((tag["wtf8"] as? String ?? "").utf8)
            once = stride(from: 0, to: digits.count, by: 2).compactMap {
                UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
            }
        }
        guard let count = tag["n"] as? Int else { return once }
        return Array(repeatElement(once, count: count).joined())
    }
}
