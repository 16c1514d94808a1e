import JSONCodec

/// Writes an answer that holds bytes, as a pickle of protocol 3: what emitters that read pickles have on Python 3.
///
/// Only the handful of opcodes that JSON values need. Arguments are a tuple, as python-socketio writes them.
struct PickledCallback: ~Copyable {
    private var writer = JSONWriter()
    private let attachments: [[UInt8]]
    private var isOutOfRange = false

    private init(attachments: [[UInt8]]) {
        self.attachments = attachments
    }

    static func encode(
        _ address: CallbackAddress, arguments: borrowing JSONDocument, attachments: [[UInt8]]
    ) throws(PubSubMessageError) -> [UInt8] {
        var pickle = PickledCallback(attachments: attachments)
        pickle.writer.append(0x80)  // PROTO
        pickle.writer.append(3)
        pickle.writer.append("}(")  // EMPTY_DICT MARK
        pickle.put(key: "method")
        pickle.put(key: "callback")
        pickle.put(key: "host_id")
        pickle.put(address.hostID.map { .text($0) } ?? .none)
        pickle.put(key: "sid")
        pickle.put(address.room)
        pickle.put(key: "namespace")
        pickle.put(address.namespace)
        pickle.put(key: "id")
        pickle.put(address.id)
        pickle.put(key: "args")
        pickle.putTuple(arguments)
        pickle.writer.append("u.")  // SETITEMS STOP
        guard !pickle.isOutOfRange else { throw PubSubMessageError(.placeholderOutOfRange, hostID: address.hostID) }
        return pickle.writer.copyBytes()
    }

    private mutating func put(key: StaticString) {
        key.withUTF8Buffer { put(text: UnsafeRawBufferPointer($0)) }
    }

    private mutating func put(text: UnsafeRawBufferPointer) {
        writer.append("X")  // BINUNICODE
        put(word: UInt32(clamping: text.count))
        writer.append(raw: text)
    }

    private mutating func put(word: UInt32) {
        withUnsafeBytes(of: word.littleEndian) { writer.append(raw: $0) }
    }

    private mutating func put(integer: Int64) {
        if let small = Int32(exactly: integer) {
            writer.append("J")  // BININT
            put(word: UInt32(bitPattern: small))
        } else {
            writer.append(0x8A)  // LONG1
            writer.append(8)
            withUnsafeBytes(of: integer.littleEndian) { writer.append(raw: $0) }
        }
    }

    private mutating func put(float: Double) {
        writer.append("G")  // BINFLOAT
        withUnsafeBytes(of: float.bitPattern.bigEndian) { writer.append(raw: $0) }
    }

    private mutating func put(_ bool: Bool) {
        writer.append(bool ? 0x88 : 0x89)  // NEWTRUE, NEWFALSE
    }

    private mutating func put(_ value: CallbackAddress.RouteValue) {
        switch value {
        case .none: writer.append("N")
        case .bool(let bool): put(bool)
        case .integer(let integer): put(integer: integer)
        case .float(let float): put(float: float)
        case .text(let text): text.withUnsafeBytes { put(text: $0) }
        case .tuple(let values):
            writer.append("(")
            for value in values { put(value) }
            writer.append("t")
        case .list(let values):
            writer.append("](")
            for value in values { put(value) }
            writer.append("e")
        }
    }

    private mutating func putTuple(_ document: borrowing JSONDocument) {
        // Items of the containers around the one in hand; nesting costs no stack.
        var open: [Container] = []
        writer.append("(")
        var current = Container.list(document.elements(of: document.root))
        while true {
            switch current.next() {
            case .end:
                guard let outer = open.popLast() else {
                    writer.append("t")
                    return
                }
                switch current {
                case .list: writer.append("e")
                case .dict: writer.append("u")
                }
                current = outer
            case .value(let key, let node):
                if let key { document.byteString(key)?.withUnsafeBytes { put(text: $0) } }
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
        case .null: writer.append("N")
        case .bool: put(document.bool(node) == true)
        case .integer:
            if let integer = document.int64(node) {
                put(integer: integer)
            } else {
                writer.append("L")  // LONG: decimal digits, L, line feed
                writer.append(raw: document.source(of: node))
                writer.append("L\n")
            }
        case .float: put(float: document.double(node) ?? .nan)
        case .string: document.byteString(node)?.withUnsafeBytes { put(text: $0) }
        case .array:
            writer.append("](")
            return .list(document.elements(of: node))
        case .object:
            if let number = document.placeholderNumber(node) {
                put(attachment: number)
            } else {
                writer.append("}(")
                return .dict(document.members(of: node))
            }
        }
        return nil
    }

    private mutating func put(attachment number: Int64) {
        guard number >= 0, number < attachments.count else {
            isOutOfRange = true
            return writer.append("N")
        }
        writer.append("B")  // BINBYTES
        put(word: UInt32(clamping: attachments[Int(number)].count))
        attachments[Int(number)].withUnsafeBytes { writer.append(raw: $0) }
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
