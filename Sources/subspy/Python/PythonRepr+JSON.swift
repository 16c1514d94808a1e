import JSONCodec

extension PythonRepr {
    /// Writes a value of a JSON text as what `json.loads` makes of it.
    mutating func append(_ node: JSONDocument.Node, of document: borrowing JSONDocument) throws(TooLong) {
        try checkLength()
        switch document.kind(of: node) {
        case .null: append("None")
        case .bool: append(bool: document.bool(node) ?? false)
        case .integer:
            let source = document.source(of: node)
            // Python's int has no negative zero; everything else is spelled as it stands.
            if source.elementsEqual("-0".utf8) { append("0") } else { output.append(raw: source) }
        case .float: append(float: document.double(node) ?? 0)
        case .string: appendString(node, of: document)
        case .array:
            append("[")
            var isFirst = true
            for element in document.elements(of: node) {
                if !isFirst { append(", ") }
                isFirst = false
                try append(element, of: document)
            }
            append("]")
        case .object:
            append("{")
            var isFirst = true
            for (key, value) in document.members(of: node) {
                if !isFirst { append(", ") }
                isFirst = false
                appendString(key, of: document)
                append(": ")
                try append(value, of: document)
            }
            append("}")
        }
    }

    private mutating func appendString(_ node: JSONDocument.Node, of document: borrowing JSONDocument) {
        if let content = document.plainContent(of: node) { return append(text: content) }
        // Copied first: writing while borrowing the text would need two accesses to `self`.
        guard let content = document.byteString(node) else { return }
        content.bytes.withUnsafeBytes { append(text: $0) }
    }
}
