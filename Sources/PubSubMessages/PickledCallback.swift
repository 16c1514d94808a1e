import JSONCodec
import PickleCodec

/// Writes an answer that holds bytes, as a pickle of protocol 2, which every emitter that reads pickles reads, on
/// Python 2 too. Arguments are a tuple, as python-socketio writes them.
struct PickledCallback: ~Copyable {
    private var writer = PickleWriter(version: 2)
    private let attachments: [[UInt8]]
    private var isOutOfRange = false

    private init(attachments: [[UInt8]]) {
        self.attachments = attachments
    }

    static func encode(
        _ address: CallbackAddress, arguments: borrowing JSONDocument, attachments: [[UInt8]]
    ) throws(PubSubMessageError) -> [UInt8] {
        var pickle = PickledCallback(attachments: attachments)
        pickle.writer.beginDict()
        pickle.writer.append("method")
        pickle.writer.append("callback")
        pickle.writer.append("host_id")
        pickle.put(address.hostID.map { .text($0) } ?? .none)
        pickle.writer.append("sid")
        pickle.put(address.room)
        pickle.writer.append("namespace")
        pickle.put(address.namespace)
        pickle.writer.append("id")
        pickle.put(address.id)
        pickle.writer.append("args")
        pickle.putTuple(arguments)
        pickle.writer.endDict()
        pickle.writer.finish()
        guard !pickle.isOutOfRange else { throw PubSubMessageError(.placeholderOutOfRange, hostID: address.hostID) }
        return pickle.writer.copyBytes()
    }

    private mutating func put(_ value: CallbackAddress.RouteValue) {
        switch value {
        case .none: writer.appendNone()
        case .bool(let bool): writer.append(bool)
        case .integer(let integer): writer.append(integer)
        case .float(let float): writer.append(float)
        case .text(let text): writer.appendText(text)
        case .tuple(let values):
            writer.beginTuple()
            for value in values { put(value) }
            writer.endTuple()
        case .list(let values):
            writer.beginList()
            for value in values { put(value) }
            writer.endList()
        }
    }

    private mutating func putTuple(_ document: borrowing JSONDocument) {
        // Items of the containers around the one in hand; nesting costs no stack.
        var open: [Container] = []
        writer.beginTuple()
        var current = Container.list(document.elements(of: document.root))
        while true {
            switch current.next() {
            case .end:
                guard let outer = open.popLast() else { return writer.endTuple() }
                switch current {
                case .list: writer.endList()
                case .dict: writer.endDict()
                }
                current = outer
            case .value(let key, let node):
                if let key { putText(key, of: document) }
                if let inner = put(node, of: document) {
                    open.append(current)
                    current = inner
                }
            }
        }
    }

    /// Writes a scalar, or the start of a container and returns its items.
    private mutating func put(_ node: JSONDocument.Node, of document: borrowing JSONDocument) -> Container? {
        switch document.kind(of: node) {
        case .null: writer.appendNone()
        case .bool: writer.append(document.bool(node) == true)
        case .integer: putInteger(node, of: document)
        case .float: writer.append(document.double(node) ?? .nan)
        case .string: putText(node, of: document)
        case .array:
            writer.beginList()
            return .list(document.elements(of: node))
        case .object:
            if let number = document.placeholderNumber(node) {
                put(attachment: number)
            } else {
                writer.beginDict()
                return .dict(document.members(of: node))
            }
        }
        return nil
    }

    private mutating func putText(_ node: JSONDocument.Node, of document: borrowing JSONDocument) {
        writer.appendText(document.byteString(node) ?? "")
    }

    private mutating func putInteger(_ node: JSONDocument.Node, of document: borrowing JSONDocument) {
        if let integer = document.int64(node) { return writer.append(integer) }
        twosComplement(decimal: document.source(of: node)).withUnsafeBytes { writer.appendInteger(twosComplement: $0) }
    }

    private mutating func put(attachment number: Int64) {
        guard number >= 0, number < attachments.count else {
            isOutOfRange = true
            return writer.appendNone()
        }
        attachments[Int(number)].withUnsafeBytes { writer.appendBytes($0) }
    }

    private enum Container {
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

/// A decimal integer as minimal little-endian two's complement. Quadratic; the parser bounds the digits.
private func twosComplement(decimal text: UnsafeRawBufferPointer) -> [UInt8] {
    let isNegative = text.first == UInt8(ascii: "-")
    var bytes: [UInt8] = [0]
    for digit in text[(isNegative ? 1 : 0)...] {
        var carry = UInt32(digit &- UInt8(ascii: "0"))
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
