import Bytes

// The arguments that end with a line feed: protocols 0 and 1.
extension PickleMachine {
    private func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: tape.input[range])
    }

    /// INT and LONG as CPython's C loader reads them. An INT of two characters that `strtol` reads as 0 or 1 is a bool: `00`
    /// and `01`, but `+1` as well. LONG may end in `L`.
    mutating func pushIntegerLine(isLong: Bool) throws(PickleFault) {
        let whole = unsafe bytes(try takeLine())
        let line = unsafe isLong && whole.last == 0x4c ? UnsafeRawBufferPointer(rebasing: whole.dropLast()) : whole
        let isNegative = unsafe line.first == 0x2d
        let digits = unsafe UnsafeRawBufferPointer(rebasing: isNegative ? line.dropFirst() : line[...])
        if unsafe digits.isEmpty || digits[0] == 0x30 && digits.count > 1
            || !digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
        {
            return try unsafe pushPythonInteger(line, isLong: isLong)
        }
        if digits.count <= min(18, limits.maximumDecimalDigits) {
            var value: Int64 = 0
            unsafe digits.forEach { value = value &* 10 &+ Int64($0 &- 0x30) }
            if !isLong, isNegative, value == 0 {
                stack.append(PickleTape.false)
                return
            }
            return try pushInteger(isNegative ? -value : value)
        }
        try unsafe pushInteger(digits: digits, radix: 10, isNegative: isNegative)
    }

    /// An integer that isn't spelled as Python writes it.
    private mutating func pushPythonInteger(_ line: UnsafeRawBufferPointer, isLong: Bool) throws(PickleFault) {
        guard let number = unsafe PythonInteger(line, radix: 0, isOctal: !isLong) else {
            throw PickleFault(.invalidInteger)
        }
        // Two characters and 0 or 1: `00`, `01`, `+1`, ` 0`. `1 ` is left to Python's own reading, which makes no bool.
        if !isLong, line.count == 2, unsafe line[1] == 0x30 || line[1] == 0x31 {
            unsafe stack.append(line[1] == 0x30 ? PickleTape.false : PickleTape.true)
            return
        }
        try pushInteger(digits: number.digits, radix: number.radix, isNegative: number.isNegative)
    }

    /// Pushes an int of ASCII digits of a radix up to 16.
    private mutating func pushInteger(
        digits: some RandomAccessCollection<UInt8>, radix: UInt64, isNegative: Bool
    ) throws(PickleFault) {
        guard digits.count <= limits.maximumDecimalDigits else {
            throw PickleFault(.integerTooLong, UInt64(limits.maximumDecimalDigits))
        }
        let start = tape.scratch.count
        appendBinary(digits, radix: radix, isNegative: isNegative)
        let written = unsafe UnsafeRawBufferPointer(start: tape.scratch.base + start, count: tape.scratch.count - start)
        try unsafe push(try integerNode(written, offset: start, flags: .inScratch))
    }

    /// Writes digits to `scratch` as two's complement. Quadratic, hence the limit on digits.
    private mutating func appendBinary(
        _ digits: some RandomAccessCollection<UInt8>, radix: UInt64, isNegative: Bool
    ) {
        var words: [UInt32] = []
        var rest = digits[...]
        while !rest.isEmpty {
            // A chunk of digits is less than 32 bits.
            let chunk = rest.prefix(radix > 10 ? 7 : 9)
            rest = rest.dropFirst(chunk.count)
            var carry: UInt64 = 0
            var scale: UInt64 = 1
            for digit in chunk {
                carry = carry * radix + UInt64(digit.hexadecimalValue ?? 0)
                scale *= radix
            }
            for index in words.indices {
                let product = UInt64(words[index]) * scale + carry
                words[index] = UInt32(truncatingIfNeeded: product)
                carry = product >> 32
            }
            if carry > 0 { words.append(UInt32(carry)) }
        }
        var borrow = isNegative
        for word in words {
            var value = isNegative ? ~word : word
            if borrow {
                value &+= 1
                borrow = value == 0
            }
            for shift in [0, 8, 16, 24] as [UInt32] { tape.scratch.append(UInt8(truncatingIfNeeded: value >> shift)) }
        }
        // A separate sign byte, which `integerNode` drops if it is not needed. -0 wraps to zero words.
        let isZero = words.isEmpty
        tape.scratch.append(isNegative && !isZero ? 0xff : 0)
    }

    /// FLOAT as CPython's C loader reads it: a sign, `inf`, `infinity` and `nan` in any case, `.5` and `3.`; a NUL ends it.
    /// A number that is too large is an error.
    mutating func pushFloatLine() throws(PickleFault) {
        let line = unsafe bytes(try takeLine())
        guard line.count <= 4300,
            let value = unsafe Self.float(of: UnsafeRawBufferPointer(rebasing: line.prefix { $0 != 0 }))
        else { throw PickleFault(.invalidFloat) }
        try pushFloat(bits: value.bitPattern)
    }

    /// `float(text)`: white space around it and `_` between digits, and no limit.
    static func pythonFloat(of text: UnsafeRawBufferPointer) -> Double? {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || 0x09...0x0d ~= byte }
        var trimmed = unsafe text.drop(while: isSpace)
        while let last = unsafe trimmed.last, isSpace(last) { unsafe trimmed.removeLast() }
        var bytes: [UInt8] = []
        for index in unsafe trimmed.indices {
            func isDigit(_ index: Int) -> Bool {
                unsafe trimmed.indices.contains(index) && 0x30...0x39 ~= trimmed[index]
            }
            if unsafe trimmed[index] == 0x5f, isDigit(index - 1), isDigit(index + 1) { continue }
            unsafe bytes.append(trimmed[index])
        }
        return unsafe bytes.withUnsafeBytes { unsafe float(of: $0, isBounded: false) }
    }

    static func float(of text: UnsafeRawBufferPointer, isBounded: Bool = true) -> Double? {
        let isSigned = unsafe text.first == 0x2d || text.first == 0x2b
        let unsigned = unsafe UnsafeRawBufferPointer(rebasing: text.dropFirst(isSigned ? 1 : 0))
        func spells(_ word: StaticString) -> Bool {
            unsigned.count == word.utf8CodeUnitCount
                && unsigned.indices.allSatisfy { unsafe unsigned[$0] | 0x20 == word.utf8Start[$0] }
        }
        let magnitude: Double
        if spells("inf") || spells("infinity") {
            magnitude = .infinity
        } else if spells("nan") {
            magnitude = .nan
        } else {
            guard unsafe isDecimalFloat(unsigned), let value = unsafe Double(String(decoding: unsigned, as: UTF8.self)),
                value.isFinite || !isBounded
            else { return nil }
            magnitude = value
        }
        return unsafe text.first == 0x2d ? -magnitude : magnitude
    }

    /// True for characters that make `Double` read a decimal number or nothing: no sign, hexadecimal or word.
    private static func isDecimalFloat(_ line: UnsafeRawBufferPointer) -> Bool {
        guard let first = unsafe line.first, first != 0x2b, first != 0x2d else { return false }
        return unsafe line.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x2b, 0x2d, 0x2e, 0x45, 0x65: true
            default: false
            }
        }
    }

    /// The index of PUT and GET: decimal, so that `p007` and `p7` are one slot. A number beyond 64 bits is the largest one.
    mutating func takeMemoIndex() throws(PickleFault) -> UInt64 {
        let line = unsafe bytes(try takeLine())
        guard let number = unsafe PythonInteger(line, radix: 10), !number.isNegative || number.digits.isEmpty else {
            throw PickleFault(.invalidInteger)
        }
        return number.magnitude ?? .max
    }

    /// STRING: a Python 2 str as `repr` prints it.
    mutating func pushStringLine() throws(PickleFault) {
        let range = try takeLine()
        let line = unsafe bytes(range)
        guard line.count >= 2, let quote = unsafe line.first, quote == 0x27 || quote == 0x22, unsafe line.last == quote
        else {
            throw PickleFault(.unquotedString)
        }
        let body = unsafe UnsafeRawBufferPointer(rebasing: line[1..<(line.count - 1)])
        guard unsafe body.contains(0x5c) else {
            return try push(
                TapeNode(kind: .byteString, count: UInt32(body.count), first: UInt32(range.lowerBound + 1)))
        }
        let start = tape.scratch.count
        var at = 0
        while at < body.count {
            if unsafe body[at] == 0x5c {
                try unsafe appendEscape(body, &at)
            } else {
                unsafe tape.scratch.append(body[at])
                at += 1
            }
        }
        try push(try scratchNode(.byteString, from: start))
    }

    private mutating func appendEscape(_ body: UnsafeRawBufferPointer, _ at: inout Int) throws(PickleFault) {
        guard at + 1 < body.count else { throw PickleFault(.invalidEscape) }
        let letter = unsafe body[at + 1]
        at += 2
        switch letter {
        case 0x5c, 0x27, 0x22: tape.scratch.append(letter)
        case 0x61: tape.scratch.append(0x07)
        case 0x62: tape.scratch.append(0x08)
        case 0x66: tape.scratch.append(0x0c)
        case 0x6e: tape.scratch.append(0x0a)
        case 0x72: tape.scratch.append(0x0d)
        case 0x74: tape.scratch.append(0x09)
        case 0x76: tape.scratch.append(0x0b)
        case 0x78:
            guard at + 2 <= body.count, let high = unsafe body[at].hexadecimalValue,
                let low = unsafe body[at + 1].hexadecimalValue
            else { throw PickleFault(.invalidEscape) }
            tape.scratch.append(high << 4 | low)
            at += 2
        case 0x30...0x37:
            var value = UInt32(letter - 0x30)
            var digits = 1
            while digits < 3, at < body.count, unsafe body[at] >= 0x30, unsafe body[at] <= 0x37 {
                value = unsafe value << 3 | UInt32(body[at] - 0x30)
                at += 1
                digits += 1
            }
            tape.scratch.append(UInt8(truncatingIfNeeded: value))
        default:
            tape.scratch.append(0x5c)
            tape.scratch.append(letter)
        }
    }

    /// UNICODE: raw-unicode-escape. Bytes are latin-1; `\u` and `\U` count only after an odd run of backslashes.
    mutating func pushUnicodeLine() throws(PickleFault) {
        let range = try takeLine()
        let line = unsafe bytes(range)
        if unsafe WTF8.isASCII(line), unsafe !line.contains(0x5c) {
            return try push(TapeNode(kind: .str, count: UInt32(line.count), first: UInt32(range.lowerBound)))
        }
        let start = tape.scratch.count
        var at = 0
        while at < line.count {
            let byte = unsafe line[at]
            guard byte == 0x5c, at + 1 < line.count else {
                tape.scratch.append(codePoint: UInt32(byte))
                at += 1
                continue
            }
            let letter = unsafe line[at + 1]
            if letter == 0x75 || letter == 0x55 {
                let digits = letter == 0x75 ? 4 : 8
                unsafe tape.scratch.append(codePoint: try codePoint(line, at + 2, digits: digits))
                at += 2 + digits
            } else {
                // A backslash also passes over the next character, so that `\\u0041` stays text.
                tape.scratch.append(0x5c)
                tape.scratch.append(codePoint: UInt32(letter))
                at += 2
            }
        }
        try push(try scratchNode(.str, from: start))
    }

    private func codePoint(_ line: UnsafeRawBufferPointer, _ at: Int, digits: Int) throws(PickleFault) -> UInt32 {
        guard at + digits <= line.count else { throw PickleFault(.truncatedEscape) }
        var value: UInt32 = 0
        for index in at..<(at + digits) {
            guard let digit = unsafe line[index].hexadecimalValue else { throw PickleFault(.truncatedEscape) }
            value = value << 4 | UInt32(digit)
        }
        guard value <= 0x10ffff else { throw PickleFault(.invalidEscape) }
        return value
    }

    /// PERSID: the id as ASCII text.
    mutating func pushPersistentIDLine() throws(PickleFault) {
        let range = try takeLine()
        guard unsafe WTF8.isASCII(bytes(range)) else { throw PickleFault(.invalidPersistentID) }
        let id = try add(TapeNode(kind: .str, count: UInt32(range.count), first: UInt32(range.lowerBound)))
        try push(TapeNode(kind: .persistentID, depth: 1, first: id))
    }
}
