import Bytes

extension PickleValue: CustomStringConvertible {
    /// The value as Python's `repr` shows it, cut off after about 64 KiB.
    public var description: String { description(maximumBytes: 64 * 1024) }

    /// The value as Python's `repr` shows it, cut off after about so many bytes.
    public func description(maximumBytes: Int) -> String {
        var printer = PicklePrinter(limit: maximumBytes)
        printer.print(self)
        return printer.text
    }
}

/// Writes values in the manner of Python's `repr` until its limit is reached.
private struct PicklePrinter {
    var text = ""
    let limit: Int
    private var isFull = false

    init(limit: Int) {
        self.limit = limit
    }

    mutating func print(_ value: PickleValue) {
        if isFull { return }
        if text.utf8.count > limit {
            text += "..."
            isFull = true
            return
        }
        switch value {
        case .null: text += "None"
        case .bool(let value): text += value ? "True" : "False"
        case .int(let value): text += String(value)
        case .bigInt(let value): text += value.description
        case .float(let value): printFloat(value)
        case .string(let string): quote(Array(string.utf8.prefix(limit)))
        case .surrogateString(let bytes): quote(bytes)
        case .byteString(let bytes), .bytes(let bytes): quoteBytes(bytes)
        case .bytearray(let bytes):
            text += "bytearray("
            quoteBytes(bytes)
            text += ")"
        case .tuple(let items):
            list("(", items, items.count == 1 ? ",)" : ")")
        case .list(let items): list("[", items, "]")
        case .set(let items):
            if items.isEmpty { text += "set()" } else { list("{", items, "}") }
        case .frozenset(let items):
            if items.isEmpty { text += "frozenset()" } else { list("frozenset({", items, "})") }
        case .dict(let dict): pairs(dict.pairs)
        case .global(let name): text += "<\(name)>"
        case .object(let object): printObject(object)
        case .persistentID(let id):
            text += "<persistent id "
            print(id)
            text += ">"
        }
    }

    private mutating func list(_ open: String, _ items: [PickleValue], _ close: String) {
        text += open
        for (index, item) in items.enumerated() {
            if isFull { return }
            if index > 0 { text += ", " }
            print(item)
        }
        text += close
    }

    private mutating func pairs(_ pairs: [PickleDict.Pair]) {
        text += "{"
        for (index, pair) in pairs.enumerated() {
            if isFull { return }
            if index > 0 { text += ", " }
            print(pair.key)
            text += ": "
            print(pair.value)
        }
        text += "}"
    }

    private mutating func printObject(_ object: PickleObject) {
        text += "<"
        print(object.callable)
        list("(", object.arguments, ")")
        for state in object.states {
            text += " state "
            print(state)
        }
        if !object.items.isEmpty { list(" items [", object.items, "]") }
        if !object.adds.isEmpty { list(" adds [", object.adds, "]") }
        if !object.pairs.isEmpty {
            text += " pairs "
            pairs(object.pairs)
        }
        text += ">"
    }

    private mutating func printFloat(_ value: Double) {
        if value.isNaN || value.isInfinite {
            text += value.isNaN ? "nan" : value < 0 ? "-inf" : "inf"
            return
        }
        var writer = JSONWriter(capacity: 64)
        writer.appendFloat(value)
        text += String(decoding: writer.copyBytes(), as: UTF8.self)
    }

    private mutating func quote(_ bytes: [UInt8]) {
        var writer = JSONWriter(capacity: min(bytes.count, limit) + 16)
        unsafe bytes.prefix(limit).withUnsafeBytes { unsafe writer.appendString(wtf8: $0) }
        text += String(decoding: writer.copyBytes(), as: UTF8.self)
    }

    private mutating func quoteBytes(_ bytes: [UInt8]) {
        text += "b\""
        for byte in bytes.prefix(limit) {
            if byte >= 0x20, byte < 0x7f, byte != 0x22, byte != 0x5c {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        text += "\""
    }
}

extension PickleBigInt: CustomStringConvertible {
    /// The number in decimal; beyond 4300 digits, where printing gets slow, its size.
    public var description: String {
        guard twosComplement.count <= 1786 else { return "<int of \(twosComplement.count) bytes>" }
        var writer = JSONWriter()
        unsafe twosComplement.withUnsafeBytes { unsafe writer.appendDecimal(twosComplement: $0) }
        return String(decoding: writer.copyBytes(), as: UTF8.self)
    }
}
