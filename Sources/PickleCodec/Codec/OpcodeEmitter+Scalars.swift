import Bytes

// Scalars as CPython's pickler of the same protocol writes them.
extension OpcodeEmitter {
    mutating func emitBool(_ value: Bool) {
        if version >= 2 {
            emit(value ? .newTrue : .newFalse)
        } else if value {
            emit(.int, line: "01")
        } else {
            emit(.int, line: "00")
        }
    }

    mutating func emitInteger(_ value: Int64) {
        if version == 0 {
            emit(Int32(exactly: value) != nil ? .int : .long)
            append { $0.appendInteger(value) }
            if Int32(exactly: value) == nil { appendByte(0x4c) }
            return appendByte(0x0a)
        }
        if let small = UInt8(exactly: value) {
            emit(.binInt1, byte: small)
        } else if let small = UInt16(exactly: value) {
            emit(.binInt2, word: UInt64(small), bytes: 2)
        } else if let small = Int32(exactly: value) {
            emit(.binInt, word: UInt64(UInt32(bitPattern: small)), bytes: 4)
        } else if version == 1 {
            emit(.long)
            append { $0.appendInteger(value) }
            appendByte(0x4c)
            appendByte(0x0a)
        } else {
            unsafe withUnsafeBytes(of: value.littleEndian) { bytes in
                let length = unsafe TwosComplement.minimalLength(bytes)
                unsafe emitBigInteger(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
            }
        }
    }

    /// An integer beyond 32 bits as minimal two's complement, little-endian.
    mutating func emitBigInteger(_ bytes: UnsafeRawBufferPointer) {
        if version < 2 {
            emit(.long)
            append { unsafe $0.appendDecimal(twosComplement: bytes) }
            appendByte(0x4c)
            return appendByte(0x0a)
        }
        if bytes.count < 256 {
            unsafe emit(.long1, lengthBytes: 1, payload: bytes)
        } else {
            emit(.long4, word: UInt64(bytes.count), bytes: 4)
            unsafe append(bytes)
        }
    }

    mutating func emitFloat(_ value: Double) {
        if version > 0 {
            return emit(.binFloat, word: value.bitPattern.byteSwapped, bytes: 8)
        }
        emit(.float)
        if value.isNaN {
            append("nan")
        } else if value.isInfinite {
            if value < 0 { append("-inf") } else { append("inf") }
        } else {
            append { $0.appendFloat(value) }
        }
        appendByte(0x0a)
    }

    /// A str, given as UTF-8 in which surrogates may stand.
    mutating func emitText(_ bytes: UnsafeRawBufferPointer) {
        if version == 0 {
            emit(.unicode)
            unsafe appendRawUnicodeEscape(bytes)
            appendByte(0x0a)
        } else if version >= 4, bytes.count < 256 {
            unsafe emit(.shortBinUnicode, lengthBytes: 1, payload: bytes)
        } else if bytes.count <= Int(UInt32.max) {
            unsafe emit(.binUnicode, lengthBytes: 4, payload: bytes)
        } else {
            unsafe emit(.binUnicode8, lengthBytes: 8, payload: bytes)
        }
    }

    /// bytes at protocols 3 to 5.
    mutating func emitBytes(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count < 256 {
            unsafe emit(.shortBinBytes, lengthBytes: 1, payload: bytes)
        } else if version >= 4, bytes.count > Int(UInt32.max) {
            unsafe emit(.binBytes8, lengthBytes: 8, payload: bytes)
        } else {
            unsafe emit(.binBytes, lengthBytes: 4, payload: bytes)
        }
    }

    /// A Python 2 str, which CPython 3 never writes. STRING escapes bytes that are not printable.
    mutating func emitByteString(_ bytes: UnsafeRawBufferPointer) {
        if version == 0 {
            emit(.string)
            appendByte(0x27)
            unsafe bytes.forEach { appendStringEscape($0) }
            appendByte(0x27)
            appendByte(0x0a)
        } else if bytes.count < 256 {
            unsafe emit(.shortBinString, lengthBytes: 1, payload: bytes)
        } else {
            unsafe emit(.binString, lengthBytes: 4, payload: bytes)
        }
    }

    private mutating func appendStringEscape(_ byte: UInt8) {
        switch byte {
        case 0x27, 0x5c:
            appendByte(0x5c)
            appendByte(byte)
        case 0x20...0x7e:
            appendByte(byte)
        default:
            appendByte(0x5c)
            appendByte(0x78)
            append { $0.appendHexadecimal(UInt32(byte), digits: 2) }
        }
    }

    /// Latin-1 bytes with `\u` escapes, as `raw-unicode-escape` and the extra escapes of CPython's pickler have it.
    private mutating func appendRawUnicodeEscape(_ bytes: UnsafeRawBufferPointer) {
        var at = 0
        while at < bytes.count {
            let (scalar, length) = unsafe WTF8.decode(bytes, at: at)
            at += length
            switch scalar {
            case 0x00, 0x0a, 0x0d, 0x1a, 0x5c, 0x100...0xffff:
                append("\\u")
                append { $0.appendHexadecimal(scalar, digits: 4) }
            case 0x10000...:
                append("\\U")
                append { $0.appendHexadecimal(scalar, digits: 8) }
            default:
                appendByte(UInt8(scalar))
            }
        }
    }

    /// A literal as str.
    mutating func emitText(_ literal: StaticString) {
        unsafe emitText(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// Latin-1 bytes as str.
    mutating func emitText(latin1 bytes: UnsafeRawBufferPointer) {
        var text = RawArray<UInt8>(capacity: bytes.count * 2)
        unsafe bytes.forEach { text.append(codePoint: UInt32($0)) }
        unsafe emitText(UnsafeRawBufferPointer(start: text.base, count: text.count))
    }

    /// An empty tuple, list or dict. Protocol 0 writes MARK and the opcode that takes all items above it.
    mutating func emitEmpty(_ opcode: PickleOpcode, _ closing: PickleOpcode) {
        if version > 0 { return emit(opcode) }
        emit(.mark)
        emit(closing)
    }

    // MARK: Memo

    mutating func emitPut(_ index: Int) {
        if version >= 4 {
            emit(.memoize)
        } else if version == 0 {
            emit(.put)
            append { $0.appendInteger(Int64(index)) }
            appendByte(0x0a)
        } else if index < 256 {
            emit(.binPut, byte: UInt8(index))
        } else {
            emit(.longBinPut, word: UInt64(index), bytes: 4)
        }
    }

    mutating func emitGet(_ index: Int) {
        if version == 0 {
            emit(.get)
            append { $0.appendInteger(Int64(index)) }
            appendByte(0x0a)
        } else if index < 256 {
            emit(.binGet, byte: UInt8(index))
        } else {
            emit(.longBinGet, word: UInt64(index), bytes: 4)
        }
    }
}
