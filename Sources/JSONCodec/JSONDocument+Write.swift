import Bytes

/// Replaces objects while a document is printed.
package protocol JSONSubstitution {
    /// Prints something else instead of the object and returns true, or prints nothing and returns false.
    mutating func substitute(
        _ object: JSONDocument.Node, in document: borrowing JSONDocument, to writer: inout JSONWriter
    ) -> Bool
}

/// Prints every object as it is.
private struct NoSubstitution: JSONSubstitution {
    func substitute(
        _ object: JSONDocument.Node, in document: borrowing JSONDocument, to writer: inout JSONWriter
    ) -> Bool { false }
}

extension JSONDocument {
    /// Prints a value as `json.dumps(value, separators=(',', ':'))` would: no white space, ASCII escapes, Python's
    /// spelling of numbers (`1.10` is `1.1`, `1E5` is `100000.0`, `-0` is `0`), duplicates resolved. NaN and infinities,
    /// `1e999` among them, become `null`.
    ///
    /// Linear in the input; parts that are already spelled so are copied.
    package func write(_ node: Node, to writer: inout JSONWriter) {
        var substitution = NoSubstitution()
        write(node, to: &writer, substituting: &substitution)
    }

    /// Prints a value in which objects may be replaced.
    package func write<Substitution: JSONSubstitution>(
        _ node: Node, to writer: inout JSONWriter, substituting substitution: inout Substitution
    ) {
        precondition(node.index < nodes.count, "a node of another text")
        // Pairs: an open container and, if it is an object, the key of the value that is being printed. `parse` has made
        // room for the deepest nesting.
        let stack = unsafe openContainers.base
        var depth = 0
        var current = node.index
        values: while true {
            let entry = unsafe nodes.base[Int(current)]
            let isEmpty = entry.link == current + 1
            switch entry.kind {
            case .array where !isEmpty:
                writer.append(UInt8(ascii: "["))
                unsafe stack[depth * 2] = current
                depth += 1
                current += 1
                continue values
            case .object where !isEmpty && substitution.substitute(Node(index: current), in: self, to: &writer): break
            case .object where !isEmpty:
                writer.append(UInt8(ascii: "{"))
                unsafe stack[depth * 2] = current
                unsafe stack[depth * 2 + 1] = current + 1
                depth += 1
                current = writeKey(current + 1, to: &writer)
                continue values
            case .array: writer.append("[]")
            case .object: writer.append("{}")
            default: writeScalar(entry, to: &writer)
            }
            // The value is complete: go on with the next one, or close the containers that end with it.
            while depth > 0 {
                let container = unsafe stack[depth * 2 - 2]
                let end = unsafe nodes.base[Int(container)].link
                if unsafe nodes.base[Int(container)].kind == .array {
                    let next = unsafe nodes.base[Int(current)].link
                    if next < end {
                        writer.append(UInt8(ascii: ","))
                        current = next
                        continue values
                    }
                    writer.append(UInt8(ascii: "]"))
                } else {
                    let key = unsafe followingKey(stack[depth * 2 - 1], end: end)
                    if key < end {
                        writer.append(UInt8(ascii: ","))
                        unsafe stack[depth * 2 - 1] = key
                        current = writeKey(key, to: &writer)
                        continue values
                    }
                    writer.append(UInt8(ascii: "}"))
                }
                depth -= 1
                current = container
            }
            return
        }
    }

    /// Prints a key and its colon, returns the value's node.
    private func writeKey(_ key: UInt32, to writer: inout JSONWriter) -> UInt32 {
        let entry = unsafe nodes.base[Int(key)]
        writeString(entry, to: &writer)
        writer.append(UInt8(ascii: ":"))
        return entry.link
    }

    private func followingKey(_ key: UInt32, end: UInt32) -> UInt32 {
        var next = unsafe nodes.base[Int(key) + 1].link
        while next < end, unsafe nodes.base[Int(next)].flags.contains(.isSuperseded) {
            next = unsafe nodes.base[Int(next) + 1].link
        }
        return next
    }

    private func writeScalar(_ entry: JSONTapeNode, to writer: inout JSONWriter) {
        switch entry.kind {
        case .string: writeString(entry, to: &writer)
        case _ where entry.flags.contains(.isCanonical): unsafe writer.append(raw: bytes(of: entry))
        case .integer: writer.append(UInt8(ascii: "0"))  // only -0 isn't spelled as Python would
        default: unsafe writer.appendFloat(Double(json: bytes(of: entry)))
        }
    }

    private func writeString(_ entry: JSONTapeNode, to writer: inout JSONWriter) {
        let content = unsafe bytes(of: entry)
        writer.reserve(content.count &+ 2)
        writer.append(UInt8(ascii: "\""))
        if entry.flags.contains(.isCanonical) {
            unsafe writer.append(raw: content)
        } else {
            unsafe unescape(content, into: &writer, isRespelled: true)
        }
        writer.append(UInt8(ascii: "\""))
    }
}
