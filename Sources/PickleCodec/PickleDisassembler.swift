/// Prints the program a pickle is, as Python's `pickletools.dis` does, without running it.
///
/// ```
///     0: \x80 PROTO      4
///     2: }    EMPTY_DICT
///     3: .    STOP
/// highest protocol among opcodes = 4
/// ```
///
/// A broken pickle is printed up to where it breaks, and the error last. Texts longer than `maximumArgumentBytes` are cut.
public struct PickleDisassembler: Sendable {
    /// Most bytes of a text shown. Default 200.
    public var maximumArgumentBytes = 200
    /// Most opcodes shown. Default 100 000.
    public var maximumOpcodes = 100_000

    /// A disassembler with default settings.
    public init() {}

    /// The listing, a line per opcode.
    public func disassemble(_ bytes: [UInt8]) -> String {
        bytes.withUnsafeBytes { disassemble($0) }
    }

    /// The listing, a line per opcode.
    public func disassemble(_ bytes: UnsafeRawBufferPointer) -> String {
        var reader = OpcodeReader(bytes)
        var state = DisassemblyState()
        var text = ""
        var highest = 0
        for _ in 0..<maximumOpcodes {
            do throws(PickleFault) {
                guard let step = try reader.next() else { throw PickleFault(.truncated) }
                highest = max(highest, step.opcode.minimumProtocol)
                // As in pickletools, an opcode that ends a marked stretch is still indented with it.
                let indentation = state.indentation
                let note = try state.apply(step)
                text += line(step, bytes, indentation: indentation, note)
                state.enter(step)
                if step.opcode == .stop {
                    return text + "highest protocol among opcodes = \(highest)\n"
                }
            } catch {
                let offset = min(reader.opcodeOffset, bytes.count)
                let error = PickleError(
                    error, byteOffset: offset, opcodeByte: offset < bytes.count ? bytes[offset] : nil)
                return text + "\(error)\n"
            }
        }
        return text + "... after \(maximumOpcodes) opcodes\n"
    }

    private func line(
        _ step: OpcodeReader.Step, _ bytes: UnsafeRawBufferPointer, indentation: Int, _ note: String?
    ) -> String {
        let number = String(step.offset)
        let name = step.opcode.description
        var line = String(repeating: " ", count: max(0, 5 - number.count)) + number + ": "
        let code = PythonText.character(step.opcode.rawValue)
        line += code + String(repeating: " ", count: max(0, 4 - code.count)) + " "
        line += String(repeating: " ", count: 4 * indentation) + name
        let argument = argumentText(step, bytes)
        if argument != nil || note != nil { line += String(repeating: " ", count: max(0, 10 - name.count)) }
        if let argument { line += " " + argument }
        if let note { line += " " + note }
        return line + "\n"
    }

    private func argumentText(_ step: OpcodeReader.Step, _ bytes: UnsafeRawBufferPointer) -> String? {
        let content = UnsafeRawBufferPointer(rebasing: bytes[step.content])
        switch step.argument {
        case .none: return nil
        case .number(let value): return String(value)
        case .double(let value): return PickleValue.float(value).description
        case .integer: return PickleBigInt(content).description
        case .decimal: return String(decoding: content, as: UTF8.self)
        case .text: return PythonText.quoted(content, limit: maximumArgumentBytes)
        case .rawUnicode, .latin1: return PythonText.quotedLatin1(content, limit: maximumArgumentBytes, prefix: "")
        case .bytes: return PythonText.quotedLatin1(content, limit: maximumArgumentBytes, prefix: "b")
        case .bytearray:
            return "bytearray(" + PythonText.quotedLatin1(content, limit: maximumArgumentBytes, prefix: "b") + ")"
        case .quoted: return String(decoding: content.prefix(maximumArgumentBytes), as: UTF8.self)
        case .names:
            let joined = content.map { $0 == 0x0a ? 0x20 : $0 }
            return joined.withUnsafeBytes { PythonText.quoted($0, limit: maximumArgumentBytes) }
        }
    }
}

/// Stack heights and marks, as far as the listing needs them.
private struct DisassemblyState {
    private var height = 0
    private var marks: [(height: Int, offset: Int)] = []
    private var memoized: Set<UInt64> = []

    var indentation: Int { marks.count }

    /// Applies what an opcode takes; returns what the listing says about it.
    mutating func apply(_ step: OpcodeReader.Step) throws(PickleFault) -> String? {
        switch step.opcode {
        case .popMark, .appends, .list, .tuple, .dict, .setItems, .addItems, .frozenSet, .inst, .obj:
            guard let mark = marks.popLast() else { throw PickleFault(.noMark) }
            height = mark.height
            return "(MARK at \(mark.offset))"
        case .pop where marks.last?.height == height:
            guard let mark = marks.popLast() else { throw PickleFault(.noMark) }
            height += 1
            return "(MARK at \(mark.offset))"
        case .memoize:
            let index = UInt64(memoized.count)
            memoized.insert(index)
            return "(as \(index))"
        case .put, .binPut, .longBinPut:
            if case .number(let index) = step.argument, index >= 0 { memoized.insert(UInt64(index)) }
            return nil
        default: return nil
        }
    }

    /// Applies what an opcode leaves.
    mutating func enter(_ step: OpcodeReader.Step) {
        if step.opcode == .mark {
            marks.append((height, step.offset))
        } else {
            height = max(0, height + step.opcode.stackEffect)
        }
    }
}

/// Texts as Python's `repr` shows them.
enum PythonText {
    /// One byte without quotes.
    static func character(_ byte: UInt8) -> String {
        if byte >= 0x20, byte < 0x7f { return String(Unicode.Scalar(byte)) }
        return "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }

    /// UTF-8 in quotes; what is not printable ASCII is shown as it is, control characters and surrogates escaped.
    static func quoted(_ bytes: UnsafeRawBufferPointer, limit: Int) -> String {
        var text = ""
        var at = 0
        let isValid = WTF8.isValid(bytes)
        while at < bytes.count, at < limit {
            let (scalar, length) = isValid ? WTF8.decode(bytes, at: at) : (UInt32(bytes[at]), 1)
            append(scalar, to: &text)
            at += length
        }
        return enclose(text, isCut: at < bytes.count)
    }

    /// Bytes in quotes.
    static func quotedLatin1(_ bytes: UnsafeRawBufferPointer, limit: Int, prefix: String) -> String {
        var text = ""
        for byte in bytes.prefix(limit) {
            if prefix.isEmpty || byte < 0x80 {
                append(UInt32(byte), to: &text)
            } else {
                text += character(byte)
            }
        }
        return prefix + enclose(text, isCut: bytes.count > limit)
    }

    private static func append(_ scalar: UInt32, to text: inout String) {
        switch scalar {
        case 0x0a: text += "\\n"
        case 0x0d: text += "\\r"
        case 0x09: text += "\\t"
        case 0x5c: text += "\\\\"
        case ..<0x20, 0x7f..<0xa1, 0xad:
            text += "\\x" + (scalar < 16 ? "0" : "") + String(scalar, radix: 16)
        default:
            if let character = Unicode.Scalar(scalar) {
                text.unicodeScalars.append(character)
            } else {
                text += "\\u" + String(scalar, radix: 16)
            }
        }
    }

    /// Single quotes, or double ones where only single ones are inside.
    private static func enclose(_ text: String, isCut: Bool) -> String {
        let end = isCut ? "..." : ""
        if text.utf8.contains(0x27), !text.utf8.contains(0x22) { return "\"" + text + "\"" + end }
        var escaped = ""
        for character in text.unicodeScalars {
            if character == "'" { escaped += "\\'" } else { escaped.unicodeScalars.append(character) }
        }
        return "'" + escaped + "'" + end
    }
}
