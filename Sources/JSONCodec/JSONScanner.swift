import Bytes

/// Reads single tokens; every access is checked against the end of the text.
@safe struct JSONScanner {
    let text: UnsafeRawBufferPointer
    let maximumIntegerCharacters: Int
    var index = 0

    /// The byte at the cursor; 0, which starts no token, at the end.
    func peek() -> UInt8 { unsafe index < text.count ? text[index] : 0 }

    mutating func skipWhitespace() {
        while unsafe index < text.count {
            let byte = unsafe text[index]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            index &+= 1
        }
    }

    /// The error for a byte that the grammar doesn't allow here.
    func unexpected(_ expected: JSONError.Expectation) -> JSONError {
        unsafe index < text.count
            ? JSONError(.unexpectedByte(text[index], expected: expected), at: index) : JSONError(.endOfText, at: index)
    }

    /// A scalar, or the opening bracket of a container.
    mutating func scanValue(index node: UInt32) throws(JSONError) -> JSONTapeNode {
        switch peek() {
        case UInt8(ascii: "\""): return try scanString(index: node)
        case UInt8(ascii: "{"): return bracket(.object)
        case UInt8(ascii: "["): return bracket(.array)
        case UInt8(ascii: "n"): return try scanWord("null", .null, [.isCanonical], index: node)
        case UInt8(ascii: "t"): return try scanWord("true", .bool, [.isCanonical], index: node)
        case UInt8(ascii: "f"): return try scanWord("false", .bool, [.isCanonical], index: node)
        case UInt8(ascii: "N"): return try scanWord("NaN", .float, [], index: node)
        case UInt8(ascii: "I"): return try scanWord("Infinity", .float, [], index: node)
        case UInt8(ascii: "-"):
            if unsafe index + 1 < text.count, unsafe text[index + 1] == UInt8(ascii: "I") {
                return try scanWord("-Infinity", .float, [], index: node)
            }
            return try scanNumber(index: node)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return try scanNumber(index: node)
        default: throw unexpected(.value)
        }
    }

    /// A string from its opening quote to its closing one.
    mutating func scanString(index node: UInt32) throws(JSONError) -> JSONTapeNode {
        index &+= 1
        let start = index
        var flags: JSONTapeNode.Flags = [.isCanonical]
        while true {
            unsafe index &+= unescapedRunLength(text, from: index)
            guard unsafe index < text.count else { throw JSONError(.endOfText, at: index) }
            let byte = unsafe text[index]
            switch byte {
            case UInt8(ascii: "\""):
                let length = index &- start
                index &+= 1
                return makeNode(.string, flags, link: node &+ 1, from: start, length: length)
            case UInt8(ascii: "\\"):
                flags.insert(.hasEscapes)
                if try !scanEscape() { flags.remove(.isCanonical) }
            case ..<0x20:
                throw JSONError(.controlCharacter(byte), at: index)
            default:
                flags.remove(.isCanonical)
                try scanRawCharacter(byte)
            }
        }
    }

    private mutating func scanRawCharacter(_ byte: UInt8) throws(JSONError) {
        guard byte >= 0x80 else {
            index &+= 1  // DEL, which may stand raw but isn't printed so
            return
        }
        guard let (_, length) = unsafe WTF8.scalar(in: text, at: index) else { throw JSONError(.badUTF8, at: index) }
        index &+= length
    }

    /// Passes an escape. Returns true if Python would print the character so.
    private mutating func scanEscape() throws(JSONError) -> Bool {
        guard unsafe index &+ 1 < text.count else { throw unsafe JSONError(.endOfText, at: text.count) }
        switch unsafe text[index &+ 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"),
            UInt8(ascii: "b"), UInt8(ascii: "f"):
            index &+= 2
            return true
        case UInt8(ascii: "/"):
            index &+= 2
            return false
        case UInt8(ascii: "u"):
            guard unsafe index &+ 6 <= text.count else { throw unsafe JSONError(.endOfText, at: text.count) }
            guard let unit = unsafe hexadecimalUnit(text, at: index &+ 2) else {
                throw JSONError(.badEscape, at: index)
            }
            var isCanonical = !(0x20...0x7E).contains(unit) && !(0x08...0x0D).contains(unit) || unit == 0x0B
            for position in index &+ 2..<index &+ 6 where unsafe (0x41...0x46).contains(text[position]) {
                isCanonical = false
            }
            index &+= 6
            return isCanonical
        default: throw JSONError(.badEscape, at: index)
        }
    }

    private mutating func bracket(_ kind: JSONDocument.Kind) -> JSONTapeNode {
        index &+= 1
        return makeNode(kind, [], link: 0, from: index &- 1, length: 1)
    }

    private mutating func scanWord(
        _ word: StaticString, _ kind: JSONDocument.Kind, _ flags: JSONTapeNode.Flags, index node: UInt32
    ) throws(JSONError) -> JSONTapeNode {
        let start = index
        let length = word.utf8CodeUnitCount
        let mismatch = word.withUTF8Buffer { word -> Int? in
            word.indices.first { unsafe start + $0 >= text.count || text[start + $0] != word[$0] }
        }
        if let mismatch {
            index = start + mismatch
            if unsafe index < text.count { index = start }
            throw unexpected(.value)
        }
        index += length
        return makeNode(kind, flags, link: node &+ 1, from: start, length: length)
    }

    func makeNode(
        _ kind: JSONDocument.Kind, _ flags: JSONTapeNode.Flags, link: UInt32, from start: Int, length: Int
    ) -> JSONTapeNode {
        JSONTapeNode(
            kind: kind, flags: flags, link: link, offset: UInt32(truncatingIfNeeded: start),
            length: UInt32(truncatingIfNeeded: length))
    }
}

/// Four hexadecimal digits as a code unit, nil if they aren't. The caller has checked that four bytes are there.
func hexadecimalUnit(_ text: UnsafeRawBufferPointer, at index: Int) -> UInt32? {
    var unit: UInt32 = 0
    for position in index..<index &+ 4 {
        guard let digit = unsafe text[position].hexadecimalValue else { return nil }
        unit = unit << 4 | UInt32(digit)
    }
    return unit
}
