import JSONCodec
import PickleCodec

extension JSONText {
    private static let noObjects: StaticString = "an object of a class has no form in JSON"

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
        case .str, .byteString, .bytes, .bytearray:
            guard let content = document.bytes(of: node) else { return }
            switch kind {
            case .bytes: append("$bytes", bytes: content)
            case .bytearray: append("$bytearray", bytes: content)
            case .byteString where !document.isText(node): append("$str2", bytes: content)
            default: append(text: content)
            }
        case .global, .persistentID: try appendRepr(node, of: document)
        default:
            if document.hasSharing, !open.insert(node).inserted {
                refusal = "a container inside itself has no form in JSON"
                return append("{\"$cycle\":true}")
            }
            try appendContainer(node, kind, of: document, inside: &open)
            if document.hasSharing { open.remove(node) }
        }
    }

    private mutating func appendContainer(
        _ node: PickleNode, _ kind: PickleKind, of document: borrowing PickleDocument,
        inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        switch kind {
        case .dict: try append(document.pairs(of: node), of: document, inside: &open)
        case .tuple, .set, .frozenset:
            append(kind == .tuple ? "{\"$tuple\":" : kind == .set ? "{\"$set\":" : "{\"$frozenset\":")
            try append(document.elements(of: node), of: document, inside: &open)
            append("}")
        case .object:
            refusal = Self.noObjects
            switch document.builtinContent(of: node) {
            case .node(let content): try append(content, of: document, inside: &open)
            case .items(let items): try append(items, of: document, inside: &open)
            case .pairs(let pairs): try append(pairs, of: document, inside: &open)
            case .pairList(let items): try append(pairList: items, of: document, inside: &open)
            case nil: try appendRepr(node, of: document)
            }
        default: try append(document.elements(of: node), of: document, inside: &open)
        }
    }

    private mutating func append(
        _ elements: PickleDocument.Cursor, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        var elements = elements
        var isFirst = true
        append("[")
        while let element = elements.next(in: document) {
            if !isFirst { append(",") }
            isFirst = false
            try append(element, of: document, inside: &open)
        }
        append("]")
    }

    private mutating func append(
        _ pairs: PickleDocument.PairCursor, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        let isPlain = isPlain(pairs, of: document)
        var pairs = pairs
        var isFirst = true
        append(isPlain ? "{" : "{\"$dict\":[")
        while let (key, value) = pairs.next(in: document) {
            if !isFirst { append(",") }
            isFirst = false
            try append(key, value, asPair: !isPlain, of: document, inside: &open)
        }
        append(isPlain ? "}" : "]}")
    }

    /// Whether all keys are texts, and the only one does not look like a tag.
    private func isPlain(_ pairs: PickleDocument.PairCursor, of document: borrowing PickleDocument) -> Bool {
        var pairs = pairs
        var count = 0
        var hasTag = false
        while let (key, _) = pairs.next(in: document) {
            guard document.isText(key) else { return false }
            count += 1
            hasTag = document.bytes(of: key)?.first == UInt8(ascii: "$")
        }
        return count != 1 || !hasTag
    }

    /// An OrderedDict as Python 2 writes it.
    private mutating func append(
        pairList items: PickleDocument.Cursor, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        var items = items
        var isFirst = true
        append("{\"$dict\":[")
        while let item = items.next(in: document) {
            var parts = document.elements(of: item)
            if !isFirst { append(",") }
            isFirst = false
            if parts.remaining == 2, let key = parts.next(in: document), let value = parts.next(in: document) {
                try append(key, value, asPair: true, of: document, inside: &open)
            } else {
                try append(item, of: document, inside: &open)
            }
        }
        append("]}")
    }

    private mutating func append(
        _ key: PickleNode, _ value: PickleNode, asPair: Bool, of document: borrowing PickleDocument,
        inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        if asPair { append("[") }
        if document.isText(key), let text = document.bytes(of: key) {
            append(key: text)
        } else {
            try append(key, of: document, inside: &open)
        }
        append(asPair ? "," : ":")
        if redaction.hides(key, of: document) {
            append(Self.hidden)
        } else {
            try append(value, of: document, inside: &open)
        }
        if asPair { append("]") }
    }

    private mutating func appendRepr(
        _ node: PickleNode, of document: borrowing PickleDocument
    ) throws(TooLong) {
        refusal = Self.noObjects
        repr.removeAll()
        try repr.append(node, of: document)
        append("{\"$object\":")
        let text = repr.output.copyBytes()
        text.withUnsafeBytes { append(key: $0) }
        append("}")
    }
}
