import Bytes
import PickleCodec

/// The second pass.
extension PickleTranscoder {
    /// Writes the values with a comma before them; false when one can't be written, or the writer exceeds a limit in bytes.
    func write(to writer: inout JSONWriter, upTo limit: Int) -> Bool {
        // A bit for each open container, the innermost lowest: whether it is a dict, and whether a key comes next in it.
        var dicts: UInt64 = 0
        var keys: UInt64 = 0
        var depth = 0
        writer.append(UInt8(ascii: ","))
        // The brackets of the outermost tuple are those of the event.
        var spread = memory.tokens[0].opens > 0 ? 1 : 0
        if spread == 0, tokenCount == 1, isWithoutArguments(memory.tokens[0]) {
            writer.truncate(to: writer.count - 1)
            return true
        }
        var index = 0
        while index < tokenCount {
            let token = memory.tokens[index]
            var opens = Int(token.opens)
            while opens > 0 {
                guard depth < Self.maximumDepth else { return false }
                if index > 0 || depth > 0 || spread == 0 { writer.append(UInt8(ascii: "[")) }
                (dicts, keys, depth, opens) = (dicts &<< 1, keys &<< 1, depth &+ 1, opens &- 1)
            }
            if token.isFilled {
                guard depth < Self.maximumDepth else { return false }
                let isDict: UInt64 = byte(Int(token.maker)) == Opcode.emptyDict.rawValue ? 1 : 0
                writer.append(isDict == 1 ? UInt8(ascii: "{") : UInt8(ascii: "["))
                (dicts, keys, depth) = (dicts &<< 1 | isDict, keys &<< 1 | isDict, depth &+ 1)
                index &+= 1
                continue
            }
            guard write(token, to: &writer), writer.count <= limit else { return false }
            var closes = Int(token.closes)
            while closes > 0 {
                if depth > 1 || spread == 0 {
                    writer.append(dicts & 1 == 1 ? UInt8(ascii: "}") : UInt8(ascii: "]"))
                } else {
                    spread = 0
                }
                (dicts, keys, depth, closes) = (dicts &>> 1, keys &>> 1, depth &- 1, closes &- 1)
            }
            writer.append(keys & 1 == 1 ? UInt8(ascii: ":") : UInt8(ascii: ","))
            keys ^= dicts & 1
            index &+= 1
        }
        writer.truncate(to: writer.count - 1)
        return depth == 0
    }

    /// Whether a value by itself is no argument: None and a tuple of nothing.
    private func isWithoutArguments(_ token: Token) -> Bool {
        let opcode = byte(Int(token.maker))
        return opcode == Opcode.none.rawValue || opcode == Opcode.emptyTuple.rawValue
    }

    @inline(__always) private func write(_ token: Token, to writer: inout JSONWriter) -> Bool {
        let place = Int(token.maker)
        switch byte(place) {
        case Opcode.shortBinUnicode.rawValue, Opcode.binUnicode.rawValue:
            guard let text = text(of: token) else { return false }
            if writer.appendUnescapedString(text) { return true }
            guard WTF8.isValid(text) else { return false }
            writer.appendString(wtf8: text)
        case Opcode.none.rawValue: writer.append("null")
        case Opcode.newTrue.rawValue: writer.append("true")
        case Opcode.newFalse.rawValue: writer.append("false")
        case Opcode.binInt1.rawValue: writer.appendInteger(UInt64(byte(place &+ 1)))
        case Opcode.binInt2.rawValue:
            let value = base.loadUnaligned(fromByteOffset: place &+ 1, as: UInt16.self)
            writer.appendInteger(UInt64(UInt16(littleEndian: value)))
        case Opcode.binInt.rawValue: writer.appendInteger(Int64(Int32(truncatingIfNeeded: word32(place &+ 1))))
        case Opcode.long1.rawValue:
            let length = Int(byte(place &+ 1))
            let bytes = UnsafeRawBufferPointer(start: base + (place &+ 2), count: length)
            writer.appendInteger(Int64(bitPattern: TwosComplement.word(bytes, length: length)))
        case Opcode.binFloat.rawValue:
            let bits = base.loadUnaligned(fromByteOffset: place &+ 1, as: UInt64.self)
            writer.appendFloat(Double(bitPattern: UInt64(bigEndian: bits)))
        case Opcode.emptyList.rawValue, Opcode.emptyTuple.rawValue: writer.append("[]")
        case Opcode.emptyDict.rawValue: writer.append("{}")
        default: return false
        }
        return true
    }
}
