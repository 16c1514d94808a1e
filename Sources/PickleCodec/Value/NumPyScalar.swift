/// The type of a numpy scalar, as `scalar(dtype, bytes)` names it: `numpy.dtype("U3", False, True)`, to which BUILD gives
/// `(3, "<", None, None, None, 12, 4, 8)`.
struct NumPyType {
    /// `f` for floats, `U` for text, `S` for bytes, and so on.
    let letter: UInt8
    /// The number after the letter: characters of text, bytes of all other types.
    let number: Int
    /// Length of a value in bytes.
    private(set) var byteCount: Int
    private(set) var isBigEndian: Bool

    /// Nil for a type that no release of numpy writes.
    init?(_ index: UInt32, in tape: borrowing PickleTape) {
        let node = tape.nodes[index]
        guard node.kind == .object else { return nil }
        let record = Int(node.first)
        let callable = tape.nodes[tape.links[record + ObjectField.callable]]
        let arguments = tape.nodes[tape.links[record + ObjectField.arguments]]
        guard callable.kind == .global, WellKnownName(callable) == .numpyType, let name = tape.item(0, of: arguments),
            name.kind == .str || name.kind == .byteString
        else { return nil }
        var code = unsafe tape.content(of: name)[...]
        let order = unsafe code.first.flatMap { Self.orders.contains($0) ? $0 : nil }
        if order != nil { unsafe code = unsafe code.dropFirst() }
        guard let letter = unsafe code.popFirst(), unsafe code.count <= 9 else { return nil }
        var number = 0
        while let byte = unsafe code.popFirst() {
            guard (0x30...0x39).contains(byte) else { return nil }
            number = number * 10 + Int(byte) - 0x30
        }
        (self.letter, self.number, isBigEndian) = (letter, number, order == UInt8(ascii: ">"))
        let isText = letter == UInt8(ascii: "U")
        byteCount = isText ? 4 * number : number
        let states = tape.chain(ObjectField.states, ofRecord: node.first)
        guard states.count > 0 else { return }
        let state = tape.nodes[tape.links[states.first + 2]]
        guard states.count == 1, let order = tape.item(1, of: state), let length = tape.item(5, of: state),
            order.kind == .str || order.kind == .byteString, order.count == 1, length.kind == .int
        else { return nil }
        isBigEndian = unsafe tape.content(of: order).first == UInt8(ascii: ">")
        if isText || letter == UInt8(ascii: "S") {
            guard !length.flags.contains(.big), let length = Int(exactly: length.word) else { return nil }
            byteCount = length
        }
    }

    /// The class of such scalars.
    var className: String? {
        switch (letter, number) {
        case (UInt8(ascii: "b"), 1): "bool"
        case (UInt8(ascii: "i"), _): "int\(8 * number)"
        case (UInt8(ascii: "u"), _): "uint\(8 * number)"
        case (UInt8(ascii: "f"), _): number > 8 ? "longdouble" : "float\(8 * number)"
        case (UInt8(ascii: "c"), _): number > 16 ? "clongdouble" : "complex\(8 * number)"
        case (UInt8(ascii: "M"), 8): "datetime64"
        case (UInt8(ascii: "m"), 8): "timedelta64"
        case (UInt8(ascii: "U"), _): "str_"
        case (UInt8(ascii: "S"), _): "bytes_"
        case (UInt8(ascii: "V"), _): "void"
        default: nil
        }
    }

    private static let orders = Array("<>=|".utf8)
}

extension PickleTape {
    /// An item of a tuple; nil for other kinds and after its end.
    func item(_ index: UInt32, of tuple: TapeNode) -> TapeNode? {
        guard tuple.kind == .tuple, index < tuple.count else { return nil }
        // A tuple is made at once, so that its items are one segment.
        return nodes[links[tuple.first + 2 + index]]
    }
}

extension PickleMachine {
    /// The node of the value that a numpy scalar of a class derived from Python's float, str or bytes holds (float64, str_,
    /// bytes_). 0 for all other classes, which JSON refuses.
    mutating func numPyContent(of arguments: UInt32) throws(PickleFault) -> UInt32 {
        let arguments = tape.nodes[arguments]
        guard arguments.count == 2, let data = tape.item(1, of: arguments),
            data.kind == .bytes || data.kind == .byteString,
            let type = NumPyType(tape.links[arguments.first + 2], in: tape), type.byteCount <= Int(data.count)
        else { return 0 }
        let length = type.byteCount
        switch (type.letter, type.number) {
        case (UInt8(ascii: "f"), 8):
            let word = unsafe tape.content(of: data).loadUnaligned(as: UInt64.self)
            var node = TapeNode(kind: .float)
            node.word = type.isBigEndian ? UInt64(bigEndian: word) : UInt64(littleEndian: word)
            return try add(node)
        case (UInt8(ascii: "S"), _):
            var node = data
            node.kind = .bytes
            // numpy pads with zeros, which are not part of the value.
            node.count = unsafe UInt32(tape.content(of: data).prefix(length).lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0)
            return try add(node)
        case (UInt8(ascii: "U"), _) where length % 4 == 0:
            try charge(length)
            let start = tape.scratch.count
            // Reserved first: the bytes themselves may lie in scratch, which must not move while they are read.
            tape.scratch.reserve(length)
            let words = unsafe tape.content(of: data)
            var end = length
            while end > 0, unsafe words.loadUnaligned(fromByteOffset: end - 4, as: UInt32.self) == 0 { end -= 4 }
            for offset in stride(from: 0, to: end, by: 4) {
                let word = unsafe words.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                let scalar = type.isBigEndian ? UInt32(bigEndian: word) : UInt32(littleEndian: word)
                guard scalar <= 0x10_FFFF else { return 0 }
                tape.scratch.append(codePoint: scalar)
            }
            return try add(try scratchNode(.str, from: start))
        default: return 0
        }
    }
}
