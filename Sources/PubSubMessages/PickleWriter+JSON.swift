import JSONCodec
import PickleCodec

extension PickleWriter {
    /// Writes a JSON value as the Python value that `json.loads` makes of it. Nesting costs no stack.
    ///
    /// - Parameter attachments: what the value's placeholders stand for; nil when it has none, and a dict that looks like
    ///   one is a dict.
    /// - Returns: false when a placeholder stands for an attachment that isn't there; None is written then.
    @discardableResult
    package mutating func append(
        _ root: JSONDocument.Node, of document: borrowing JSONDocument, attachments: [[UInt8]]? = nil
    ) -> Bool {
        var isComplete = true
        // Items of the containers around the one in hand.
        var open: [JSONContainer] = []
        guard var current = begin(root, of: document, attachments, &isComplete) else { return isComplete }
        while true {
            switch current.next() {
            case .end:
                switch current {
                case .list: endList()
                case .dict: endDict()
                }
                guard let outer = open.popLast() else { return isComplete }
                current = outer
            case .value(let key, let node):
                if let key { appendText(key, of: document) }
                if let inner = begin(node, of: document, attachments, &isComplete) {
                    open.append(current)
                    current = inner
                }
            }
        }
    }

    /// Writes a scalar, or the start of a container and returns its items.
    private mutating func begin(
        _ node: JSONDocument.Node, of document: borrowing JSONDocument, _ attachments: [[UInt8]]?,
        _ isComplete: inout Bool
    ) -> JSONContainer? {
        switch document.kind(of: node) {
        case .null: appendNone()
        case .bool: append(document.bool(node) == true)
        case .integer:
            if let integer = document.int64(node) {
                append(integer)
            } else {
                unsafe DecimalInteger.twosComplement(document.source(of: node)).withUnsafeBytes {
                    unsafe appendInteger(twosComplement: $0)
                }
            }
        case .float: append(document.double(node) ?? .nan)
        case .string: appendText(node, of: document)
        case .array:
            beginList()
            return .list(document.elements(of: node))
        case .object:
            guard let attachments, let number = document.placeholderNumber(node) else {
                beginDict()
                return .dict(document.members(of: node))
            }
            if number >= 0, number < attachments.count {
                unsafe attachments[Int(number)].withUnsafeBytes { unsafe appendBytes($0) }
            } else {
                isComplete = false
                appendNone()
            }
        }
        return nil
    }

    /// Writes a string or a key, without a copy of one that has no escapes.
    private mutating func appendText(_ node: JSONDocument.Node, of document: borrowing JSONDocument) {
        if let content = unsafe document.unescapedContent(of: node) { return unsafe appendString(wtf8: content) }
        appendText(document.byteString(node) ?? "")
    }
}

extension JSONDocument {
    /// The `num` of a placeholder (an object with a truthy `_placeholder` and a `num`); nil for other objects,
    /// Int64.min if it is no integer.
    func placeholderNumber(_ object: Node) -> Int64? {
        guard let mark = value(forKey: "_placeholder", in: object), isTruthy(mark),
            let number = value(forKey: "num", in: object)
        else { return nil }
        return int64(number) ?? .min
    }
}

private enum JSONContainer {
    case list(JSONDocument.Elements)
    case dict(JSONDocument.Members)

    enum Item {
        case value(key: JSONDocument.Node?, JSONDocument.Node)
        case end
    }

    mutating func next() -> Item {
        switch self {
        case .list(var elements):
            let node = elements.next()
            self = .list(elements)
            return node.map { .value(key: nil, $0) } ?? .end
        case .dict(var members):
            let member = members.next()
            self = .dict(members)
            return member.map { .value(key: $0.key, $0.value) } ?? .end
        }
    }
}

/// Integers beyond 64 bits from their decimal digits.
package enum DecimalInteger {
    /// Minimal little-endian two's complement. Quadratic; the JSON parser bounds the digits.
    package static func twosComplement(_ text: UnsafeRawBufferPointer) -> [UInt8] {
        let isNegative = unsafe text.first == UInt8(ascii: "-")
        var bytes: [UInt8] = [0]
        for digit in (isNegative ? 1 : 0)..<text.count {
            var carry = unsafe UInt32(text[digit] &- UInt8(ascii: "0"))
            for index in bytes.indices {
                carry += UInt32(bytes[index]) * 10
                bytes[index] = UInt8(truncatingIfNeeded: carry)
                carry >>= 8
            }
            if carry > 0 { bytes.append(UInt8(truncatingIfNeeded: carry)) }
        }
        if isNegative {
            var carry: UInt16 = 1
            for index in bytes.indices {
                carry += UInt16(~bytes[index])
                bytes[index] = UInt8(truncatingIfNeeded: carry)
                carry >>= 8
            }
        }
        // One byte more where the highest bit would lie about the sign, none where it says the same twice.
        if bytes.last.map({ ($0 >= 0x80) != isNegative }) ?? false { bytes.append(isNegative ? 0xFF : 0) }
        let filler: UInt8 = isNegative ? 0xFF : 0
        while bytes.count > 1, bytes[bytes.count - 1] == filler, (bytes[bytes.count - 2] >= 0x80) == isNegative {
            bytes.removeLast()
        }
        return bytes
    }
}
