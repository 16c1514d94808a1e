import Bytes

/// A container that is being written.
private struct JSONFrame: BitwiseCopyable {
    enum Form: UInt8, BitwiseCopyable { case array, object, pairList }
    var cursor: PickleDocument.Cursor
    var form: Form
    var isFirst = true
}

extension PickleDocument {
    /// Writes a value as `json.dumps(value, separators=(",", ":"))` does, straight from the tape.
    ///
    /// bytes and bytearrays become `{"_placeholder":true,"num":n}` and are appended to `attachments`; `n` counts all
    /// attachments there. Tuples become arrays. dict, list, str and int subclasses, namedtuples, OrderedDict,
    /// defaultdict, Counter and enum members become the value that they hold. Cost is linear in the output. After an error the
    /// output so far stays in `writer`.
    package func writeJSON(
        _ node: Node, to writer: inout JSONWriter, attachments: inout [Node], policy: PickleJSONPolicy = .init()
    ) throws(PickleJSONError) {
        let limit = unsafe writer.count + max(policy.maximumOutputBytes, 8 * machine.tape.input.count)
        guard var frame = try writeValue(node, to: &writer, &attachments, policy) else { return }
        // The containers around `frame`. No recursion: nesting costs no stack.
        var outer = RawArray<JSONFrame>()
        while true {
            guard let item = frame.cursor.next(in: self) else {
                writer.append(frame.form == .array ? UInt8(ascii: "]") : UInt8(ascii: "}"))
                if writer.count > limit { throw PickleJSONError(.outputTooLong) }
                if outer.isEmpty { return }
                frame = outer.removeLast()
                continue
            }
            if frame.isFirst { frame.isFirst = false } else { writer.append(UInt8(ascii: ",")) }
            var value = item
            if frame.form != .array {
                var key = item
                if frame.form == .object {
                    guard let next = frame.cursor.next(in: self) else { continue }
                    value = next
                } else {
                    (key, value) = try pairItem(item)
                }
                try writeKey(key, to: &writer, policy)
                writer.append(UInt8(ascii: ":"))
            }
            if let inner = try writeValue(value, to: &writer, &attachments, policy) {
                guard outer.count + 2 <= machine.limits.maximumDepth else { throw PickleJSONError(.tooDeep) }
                outer.append(frame)
                frame = inner
            }
            if writer.count > limit { throw PickleJSONError(.outputTooLong) }
        }
    }

    /// Writes a scalar, or the opening of a container and returns its frame.
    @inline(__always)
    private func writeValue(
        _ node: Node, to writer: inout JSONWriter, _ attachments: inout [Node], _ policy: PickleJSONPolicy
    ) throws(PickleJSONError) -> JSONFrame? {
        let value = tapeNode(node)
        switch value.kind {
        case .none: writer.append("null")
        case .bool: if value.first != 0 { writer.append("true") } else { writer.append("false") }
        case .int: try writeInteger(value, to: &writer, policy)
        case .float: writer.appendFloat(Double(bitPattern: value.word))
        case .str: unsafe writer.appendString(wtf8: machine.tape.content(of: value))
        case .byteString: try writePython2Text(value, to: &writer, policy)
        case .bytes, .bytearray:
            writer.append("{\"_placeholder\":true,\"num\":")
            writer.appendInteger(Int64(attachments.count))
            writer.append(UInt8(ascii: "}"))
            attachments.append(node)
        case .list, .tuple:
            writer.append(UInt8(ascii: "["))
            return JSONFrame(cursor: Cursor(value.chain), form: .array)
        case .dict:
            writer.append(UInt8(ascii: "{"))
            return JSONFrame(cursor: Cursor(value.chain), form: .object)
        case .object:
            return try writeObject(node, to: &writer, &attachments, policy)
        case .set, .frozenset, .global, .persistentID:
            throw refusal(.notSerializable, node)
        }
        return nil
    }

    private func writeInteger(
        _ value: TapeNode, to writer: inout JSONWriter, _ policy: PickleJSONPolicy
    ) throws(PickleJSONError) {
        guard value.flags.contains(.big) else { return writer.appendInteger(Int64(bitPattern: value.word)) }
        let bytes = unsafe machine.tape.content(of: value)
        let before = writer.count
        // 2.408 digits a byte: checked before the quadratic conversion, and exactly after it.
        guard bytes.count / 3 < policy.maximumIntegerDigits / 7 + 8 else { throw PickleJSONError(.integerTooLong) }
        unsafe writer.appendDecimal(twosComplement: bytes)
        let sign = unsafe (bytes.last ?? 0) >= 0x80 ? 1 : 0
        guard writer.count - before - sign <= policy.maximumIntegerDigits else {
            throw PickleJSONError(.integerTooLong)
        }
    }

    private func writePython2Text(
        _ value: TapeNode, to writer: inout JSONWriter, _ policy: PickleJSONPolicy
    ) throws(PickleJSONError) {
        let bytes = unsafe machine.tape.content(of: value)
        if unsafe WTF8.isASCII(bytes) || policy.python2Text == .utf8 && WTF8.isValid(bytes, surrogates: false) {
            return unsafe writer.appendString(wtf8: bytes)
        }
        guard policy.python2Text == .latin1 else { throw PickleJSONError(.undecodableText) }
        var text = RawArray<UInt8>(capacity: bytes.count * 2)
        unsafe bytes.forEach { text.append(codePoint: UInt32($0)) }
        unsafe writer.appendString(wtf8: UnsafeRawBufferPointer(start: text.base, count: text.count))
    }

    /// A key as `json.dumps` spells it: text as it is, None, bools and numbers as text.
    @inline(__always)
    private func writeKey(
        _ node: Node, to writer: inout JSONWriter, _ policy: PickleJSONPolicy
    ) throws(PickleJSONError) {
        let value = tapeNode(node)
        if value.kind == .str { return unsafe writer.appendString(wtf8: machine.tape.content(of: value)) }
        try writeOtherKey(node, value, to: &writer, policy)
    }

    @inline(never)
    private func writeOtherKey(
        _ node: Node, _ value: TapeNode, to writer: inout JSONWriter, _ policy: PickleJSONPolicy
    ) throws(PickleJSONError) {
        switch value.kind {
        case .byteString: try writePython2Text(value, to: &writer, policy)
        case .none: writer.append("\"null\"")
        case .bool: if value.first != 0 { writer.append("\"true\"") } else { writer.append("\"false\"") }
        case .int:
            writer.append(UInt8(ascii: "\""))
            try writeInteger(value, to: &writer, policy)
            writer.append(UInt8(ascii: "\""))
        case .float:
            let number = Double(bitPattern: value.word)
            writer.append(UInt8(ascii: "\""))
            if number.isNaN {
                writer.append("NaN")
            } else if number.isInfinite {
                if number < 0 { writer.append("-Infinity") } else { writer.append("Infinity") }
            } else {
                writer.appendFloat(number)
            }
            writer.append(UInt8(ascii: "\""))
        case .object:
            guard case .node(let content) = builtinContent(of: node) else {
                throw refusal(.invalidKey, node)
            }
            switch tapeNode(content).kind {
            case .str: unsafe writer.appendString(wtf8: machine.tape.content(of: tapeNode(content)))
            case .byteString, .int, .float: try writeOtherKey(content, tapeNode(content), to: &writer, policy)
            default: throw refusal(.invalidKey, node)
            }
        default:
            throw refusal(.invalidKey, node)
        }
    }

    private func writeObject(
        _ node: Node, to writer: inout JSONWriter, _ attachments: inout [Node], _ policy: PickleJSONPolicy
    ) throws(PickleJSONError) -> JSONFrame? {
        switch builtinContent(of: node) {
        case .node(let content):
            // The content is never an object itself, so this does not recurse further.
            return try writeValueSlowly(content, to: &writer, &attachments, policy)
        case .items(let items):
            writer.append(UInt8(ascii: "["))
            return JSONFrame(cursor: items, form: .array)
        case .pairs(let pairs):
            writer.append(UInt8(ascii: "{"))
            return JSONFrame(cursor: pairs.items, form: .object)
        case .pairList(let items):
            writer.append(UInt8(ascii: "{"))
            return JSONFrame(cursor: items, form: .pairList)
        case nil:
            throw refusal(.notSerializable, node)
        }
    }

    @inline(never)
    private func writeValueSlowly(
        _ node: Node, to writer: inout JSONWriter, _ attachments: inout [Node], _ policy: PickleJSONPolicy
    ) throws(PickleJSONError) -> JSONFrame? {
        if tapeNode(node).kind == .object { throw refusal(.notSerializable, node) }
        return try writeValue(node, to: &writer, &attachments, policy)
    }

    /// Key and value of an item of `OrderedDict([[key, value], ...])`.
    private func pairItem(_ item: Node) throws(PickleJSONError) -> (Node, Node) {
        var parts = elements(of: item)
        guard parts.remaining == 2, let key = parts.next(in: self), let value = parts.next(in: self) else {
            throw refusal(.notSerializable, item)
        }
        return (key, value)
    }
}
