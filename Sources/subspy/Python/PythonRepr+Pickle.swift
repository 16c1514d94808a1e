import JSONCodec
import PickleCodec

extension PythonRepr {
    /// Writes a value of a pickle.
    mutating func append(_ node: PickleNode, of document: borrowing PickleDocument) throws(TooLong) {
        var open: Set<PickleNode> = []
        try append(node, of: document, inside: &open)
    }

    /// - Parameter open: the containers around the node, kept only where one may contain itself.
    private mutating func append(
        _ node: PickleNode, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        try checkLength()
        let kind = document.kind(of: node)
        if appendNumber(node, kind, of: document) { return }
        switch kind {
        case .str, .byteString, .bytes, .bytearray: appendContent(of: node, kind, of: document)
        case .global:
            append("<")
            appendName(node, of: document)
            append(">")
        case .persistentID:
            append("<persistent id ")
            if let id = document.persistentID(node) { try append(id, of: document, inside: &open) }
            append(">")
        default:
            if document.hasSharing, !open.insert(node).inserted { return appendCycle(kind) }
            try appendContainer(node, kind, of: document, inside: &open)
            if document.hasSharing { open.remove(node) }
        }
    }

    private mutating func appendContent(
        of node: PickleNode, _ kind: PickleKind, of document: borrowing PickleDocument
    ) {
        guard let content = document.bytes(of: node) else { return }
        switch kind {
        case .bytearray:
            append("bytearray(")
            append(bytes: content, escapesApostrophes: true)
            append(")")
        // Python 3 reads a Python 2 str as text, where it is ASCII.
        case .str: append(text: content)
        case .byteString where document.isText(node): append(text: content)
        default: append(bytes: content)
        }
    }

    private mutating func appendCycle(_ kind: PickleKind) {
        switch kind {
        case .list: append("[...]")
        case .tuple: append("(...)")
        case .frozenset: append("frozenset(...)")
        case .set: append("set(...)")
        case .dict: append("{...}")
        default: append("<...>")
        }
    }

    private mutating func appendContainer(
        _ node: PickleNode, _ kind: PickleKind, of document: borrowing PickleDocument,
        inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        let count = document.count(of: node)
        switch kind {
        case .list:
            append("[")
            try append(document.elements(of: node), of: document, inside: &open)
            append("]")
        case .tuple:
            append("(")
            try append(document.elements(of: node), of: document, inside: &open)
            if count == 1 { append(",)") } else { append(")") }
        case .set where count == 0: append("set()")
        case .frozenset where count == 0: append("frozenset()")
        case .set, .frozenset:
            if kind == .frozenset { append("frozenset(") }
            append("{")
            try append(document.elements(of: node), of: document, inside: &open)
            append("}")
            if kind == .frozenset { append(")") }
        case .dict: try append(document.pairs(of: node), of: document, inside: &open)
        default: try appendObject(node, of: document, inside: &open)
        }
    }

    private mutating func append(
        _ elements: PickleDocument.Cursor, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        var elements = elements
        var isFirst = true
        while let element = elements.next(in: document) {
            if !isFirst { append(", ") }
            isFirst = false
            try append(element, of: document, inside: &open)
        }
    }

    private mutating func append(
        _ pairs: PickleDocument.PairCursor, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        var pairs = pairs
        var isFirst = true
        append("{")
        while let (key, value) = pairs.next(in: document) {
            if !isFirst { append(", ") }
            isFirst = false
            try append(key, of: document, inside: &open)
            append(": ")
            if redaction.hides(key, of: document) {
                append(Self.hidden)
            } else {
                try append(value, of: document, inside: &open)
            }
        }
        append("}")
    }

    /// The pairs of an OrderedDict as Python 2 writes it, where a value may have to be hidden.
    private mutating func append(
        pairList items: PickleDocument.Cursor, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        var items = items
        var isFirst = true
        append("[")
        while let item = items.next(in: document) {
            if !isFirst { append(", ") }
            isFirst = false
            guard document.count(of: item) == 2, let key = document.firstElement(of: item),
                redaction.hides(key, of: document)
            else {
                try append(item, of: document, inside: &open)
                continue
            }
            append("[")
            try append(key, of: document, inside: &open)
            append(", ")
            append(Self.hidden)
            append("]")
        }
        append("]")
    }

    /// What unpickling would make, as the pickle says it: `<module.Class(arguments) state={…} items=[…] pairs={…}>`.
    private mutating func appendObject(
        _ node: PickleNode, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        guard let object = document.object(node) else { return }
        append("<")
        if document.kind(of: object.callable) == .global {
            appendName(object.callable, of: document)
        } else {
            try append(object.callable, of: document, inside: &open)
        }
        append("(")
        if !redaction.isEmpty, case .pairList(let items)? = document.builtinContent(of: node) {
            try append(pairList: items, of: document, inside: &open)
        } else {
            try append(document.elements(of: object.arguments), of: document, inside: &open)
        }
        if let keywords = object.keywords {
            if document.count(of: object.arguments) > 0 { append(", ") }
            append("**")
            try append(keywords, of: document, inside: &open)
        }
        append(")")
        var states = object.states
        while let state = states.next(in: document) {
            append(" state=")
            try append(state, of: document, inside: &open)
        }
        if object.items.remaining > 0 {
            append(" items=[")
            try append(object.items, of: document, inside: &open)
            append("]")
        }
        var pairs = object.pairs
        if pairs.next(in: document) != nil {
            append(" pairs=")
            try append(object.pairs, of: document, inside: &open)
        }
        if object.adds.remaining > 0 {
            append(" adds={")
            try append(object.adds, of: document, inside: &open)
            append("}")
        }
        append(">")
    }

    /// `module.name`; quoted like a text where that isn't a plain name.
    private mutating func appendName(_ node: PickleNode, of document: borrowing PickleDocument) {
        guard let name = document.global(node) else { return }
        for (index, part) in [name.module, name.name].enumerated() {
            if index > 0 { append(".") }
            if part.allSatisfy(Self.isNameByte) { output.append(raw: part) } else { append(text: part) }
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), 0x30...0x39, 0x5F, 0x2E: true
        default: false
        }
    }
}
