import Bytes
import PickleCodec

// MARK: Pickle

extension ValueSpelling where Self: ~Copyable {
    /// Writes a value of a pickle.
    mutating func append(_ node: PickleNode, of document: borrowing PickleDocument) throws(TooLong) {
        var open: Set<PickleNode> = []
        try append(node, of: document, inside: &open)
    }

    /// - Parameter open: the containers around the node, kept only where one may contain itself.
    mutating func append(
        _ node: PickleNode, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        try checkLength()
        let kind = document.kind(of: node)
        switch kind {
        case .none: append(Self.none)
        case .bool: append(bool: document.bool(node) ?? false)
        case .int:
            if let bytes = document.bigInteger(node) {
                append(bigInteger: bytes)
            } else {
                append(int: document.int64(node) ?? 0)
            }
        case .float: append(float: document.double(node) ?? 0)
        case .str, .byteString, .bytes, .bytearray:
            guard let content = document.bytes(of: node) else { return }
            // Python 3 reads a str of Python 2 as text where it is ASCII.
            if document.isText(node) { append(text: content) } else { append(bytes: content, kind) }
        case .global, .persistentID: try append(object: node, of: document, inside: &open)
        case .list, .tuple, .set, .frozenset, .dict, .object:
            if document.hasSharing, !open.insert(node).inserted { return appendCycle(kind) }
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
        case .object: try append(object: node, of: document, inside: &open)
        default:
            let (opening, closing) = Self.brackets(of: kind, count: document.count(of: node))
            append(opening)
            try append(document.elements(of: node), of: document, inside: &open)
            append(closing)
        }
    }

    /// Writes items without brackets around them.
    mutating func append(
        _ elements: PickleDocument.Cursor, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        var elements = elements
        var isFirst = true
        while let element = elements.next(in: document) {
            appendSeparator(&isFirst)
            try append(element, of: document, inside: &open)
        }
    }

    mutating func append(
        _ pairs: PickleDocument.PairCursor, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        let isTagged = Self.hasTags && needsTag(pairs, of: document)
        var pairs = pairs
        var isFirst = true
        append(isTagged ? "{\"$dict\":[" : "{")
        while let pair = pairs.next(in: document) {
            appendSeparator(&isFirst)
            try append(pair.key, pair.value, isList: isTagged, of: document, inside: &open)
        }
        append(isTagged ? "]}" : "}")
    }

    /// Returns true unless all keys are texts, and a single one doesn't look like a tag.
    private func needsTag(_ pairs: PickleDocument.PairCursor, of document: borrowing PickleDocument) -> Bool {
        var pairs = pairs
        var count = 0
        var hasTag = false
        while let (key, _) = pairs.next(in: document) {
            guard document.isText(key) else { return true }
            count += 1
            hasTag = document.bytes(of: key)?.first == UInt8(ascii: "$")
        }
        return count == 1 && hasTag
    }

    /// Writes the pairs of an OrderedDict as Python 2 pickles it: a list of lists. Python's repr shows the items themselves
    /// unless a value has to be hidden.
    mutating func append(
        pairList items: PickleDocument.Cursor, of document: borrowing PickleDocument, inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        var items = items
        var isFirst = true
        append(Self.hasTags ? "{\"$dict\":[" : "[")
        while let item = items.next(in: document) {
            appendSeparator(&isFirst)
            var parts = document.elements(of: item)
            if parts.remaining == 2, let key = parts.next(in: document), let value = parts.next(in: document),
                Self.hasTags || redaction.hides(key, of: document)
            {
                try append(key, value, isList: true, of: document, inside: &open)
            } else {
                try append(item, of: document, inside: &open)
            }
        }
        append(Self.hasTags ? "]}" : "]")
    }

    /// - Parameter isList: writes `[key, value]`, otherwise `key: value`.
    private mutating func append(
        _ key: PickleNode, _ value: PickleNode, isList: Bool, of document: borrowing PickleDocument,
        inside open: inout Set<PickleNode>
    ) throws(TooLong) {
        if isList { append("[") }
        if document.isText(key), let text = document.bytes(of: key) {
            append(key: text)
        } else {
            try append(key, of: document, inside: &open)
        }
        append(isList ? Self.comma : Self.colon)
        if redaction.hides(key, of: document) {
            append(Self.hidden)
        } else {
            try append(value, of: document, inside: &open)
        }
        if isList { append("]") }
    }

    private mutating func appendSeparator(_ isFirst: inout Bool) {
        if !isFirst { append(Self.comma) }
        isFirst = false
    }
}
