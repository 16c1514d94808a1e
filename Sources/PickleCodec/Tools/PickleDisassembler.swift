import Bytes

/// Prints the opcodes of a pickle as Python's `pickletools.dis` does, without running them.
///
/// ```
///     0: \x80 PROTO      4
///     2: }    EMPTY_DICT
///     3: .    STOP
/// highest protocol among opcodes = 4
/// ```
///
/// A broken pickle is printed up to the failure, followed by the error. Texts longer than `maximumArgumentBytes` are cut.
public struct PickleDisassembler: Sendable {
    /// Most bytes of a text shown. Default 200.
    public var maximumArgumentBytes = 200
    /// Most opcodes shown. Default 100 000.
    public var maximumOpcodes = 100_000

    /// A disassembler with default settings.
    public init() {}

    /// The listing, a line per opcode.
    public func disassemble(_ bytes: [UInt8]) -> String {
        disassemble(bytes.span)
    }

    /// The listing, a line per opcode.
    public func disassemble(_ bytes: Span<UInt8>) -> String {
        unsafe bytes.withUnsafeBytes { unsafe listing(of: $0) }
    }

    private func listing(of bytes: UnsafeRawBufferPointer) -> String {
        var reader = unsafe OpcodeReader(bytes)
        var state = DisassemblyState()
        var text = ""
        var highest = 0
        for _ in 0..<maximumOpcodes {
            do throws(PickleFault) {
                guard let step = try reader.next() else { throw PickleFault(.truncated) }
                highest = max(highest, step.opcode.minimumProtocol)
                // As in pickletools, an opcode that ends a marked stretch is still indented with it.
                let indentation = state.indentation
                let argument = try unsafe argumentText(step, bytes)
                let note = try unsafe state.apply(step, bytes)
                append(step, argument, indentation: indentation, note, to: &text)
                state.enter(step)
                if step.opcode == .stop {
                    return text + "highest protocol among opcodes = \(highest)\n"
                }
            } catch {
                let offset = min(reader.opcodeOffset, bytes.count)
                let error = unsafe PickleError(
                    error, byteOffset: offset, opcodeByte: offset < bytes.count ? bytes[offset] : nil)
                return text + "\(error)\n"
            }
        }
        return text + "... after \(maximumOpcodes) opcodes\n"
    }

    private func append(
        _ step: OpcodeReader.Step, _ argument: String?, indentation: Int, _ note: String?, to text: inout String
    ) {
        let number = String(step.offset)
        let name = step.opcode.description
        text += String(repeating: " ", count: max(0, 5 - number.count)) + number + ": "
        let code = PythonText.character(step.opcode.rawValue)
        text += code + String(repeating: " ", count: max(0, 4 - code.count)) + " "
        text += String(repeating: " ", count: 4 * indentation) + name
        if argument != nil || note != nil { text += String(repeating: " ", count: max(0, 10 - name.count)) }
        if let argument {
            text += " "
            text += argument
        }
        if let note { text += " " + note }
        text += "\n"
    }

    /// The argument in the `repr` that `pickletools` prints.
    private func argumentText(
        _ step: OpcodeReader.Step, _ bytes: UnsafeRawBufferPointer
    ) throws(PickleFault) -> String? {
        let content = unsafe UnsafeRawBufferPointer(rebasing: bytes[step.content])
        switch step.argument {
        case .none: return nil
        case .number(let value): return String(value)
        case .double(let value): return PickleValue.float(value).description
        case .integer: return unsafe PickleBigInt(content).description
        case .decimal: return unsafe try Self.integer(content, step.opcode)
        case .float:
            guard let value = unsafe PickleMachine.pythonFloat(of: content) else { throw PickleFault(.invalidFloat) }
            return PickleValue.float(value).description
        case .text: return unsafe PythonText.quoted(content, limit: maximumArgumentBytes)
        case .latin1 where step.opcode == .persID: return unsafe quoted(try Self.unescaped(content))
        case .latin1: return unsafe PythonText.quotedLatin1(content, limit: maximumArgumentBytes, prefix: "")
        case .rawUnicode: return unsafe quoted(try Self.value(of: [step.opcode.rawValue] + content))
        case .bytes: return unsafe PythonText.quotedLatin1(content, limit: maximumArgumentBytes, prefix: "b")
        case .bytearray:
            let text = unsafe PythonText.quotedLatin1(content, limit: maximumArgumentBytes, prefix: "b")
            // The repr of a bytearray escapes single quotes within double ones too.
            return "bytearray(" + (text.hasPrefix("b\"") ? text.replacing("'", with: "\\'") : text) + ")"
        case .quoted: return unsafe quoted(try Self.ascii(try Self.value(of: [step.opcode.rawValue] + content)))
        case .names:
            var lines = unsafe content.split(separator: 0x0a, maxSplits: 1, omittingEmptySubsequences: false)[...]
            var joined: [UInt8] = []
            while let line = unsafe lines.popFirst() {
                if !joined.isEmpty { joined.append(0x20) }
                unsafe joined += try Self.unescaped(UnsafeRawBufferPointer(rebasing: line))
            }
            return quoted(joined)
        }
    }

    private func quoted(_ text: [UInt8]) -> String {
        unsafe text.withUnsafeBytes { unsafe PythonText.quoted($0, limit: maximumArgumentBytes) }
    }

    /// `int(text)`; `00` and `01` are bools, in INT and also for indices of the memo.
    private static func integer(
        _ content: UnsafeRawBufferPointer, _ opcode: PickleOpcode
    ) throws(PickleFault) -> String {
        var line = unsafe content[...]
        if opcode == .long {
            if unsafe line.last == 0x4c { unsafe line.removeLast() }
        } else if unsafe line.count == 2, unsafe line[0] == 0x30, unsafe line[1] == 0x30 || line[1] == 0x31 {
            return unsafe line[1] == 0x30 ? "False" : "True"
        }
        guard unsafe !line.contains(0),
            let number = unsafe PythonInteger(UnsafeRawBufferPointer(rebasing: line), radix: 10)
        else {
            throw PickleFault(.invalidInteger)
        }
        if number.digits.isEmpty { return "0" }
        return (number.isNegative ? "-" : "") + String(decoding: number.digits, as: UTF8.self)
    }

    /// The text made by an opcode with a line as argument.
    private static func value(of opcode: [UInt8]) throws(PickleFault) -> [UInt8] {
        do throws(PickleError) {
            let graph = try PickleGraph(decoding: opcode + [UInt8(ascii: "\n"), PickleOpcode.stop.rawValue])
            return graph.bytes(graph.root) ?? []
        } catch {
            throw PickleFault(error.cause.code, error.detail)
        }
    }

    /// A line with the escapes of a Python 2 str resolved, as `pickletools` does here but CPython's readers don't.
    private static func unescaped(_ line: UnsafeRawBufferPointer) throws(PickleFault) -> [UInt8] {
        guard unsafe line.contains(0x5c) else { return try unsafe ascii(Array(line)) }
        return try unsafe ascii(try value(of: [PickleOpcode.string.rawValue, 0x27] + line + [0x27]))
    }

    private static func ascii(_ bytes: [UInt8]) throws(PickleFault) -> [UInt8] {
        guard bytes.allSatisfy({ $0 < 0x80 }) else { throw PickleFault(.invalidText) }
        return bytes
    }
}

/// The stack heights and marks that the listing needs.
private struct DisassemblyState {
    private var height = 0
    private var marks: [(height: Int, offset: Int)] = []
    private var memoized: Set<UInt64> = []

    var indentation: Int { marks.count }

    /// Applies what an opcode removes from the stack; returns the listing's note about it.
    mutating func apply(_ step: OpcodeReader.Step, _ bytes: UnsafeRawBufferPointer) throws(PickleFault) -> String? {
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
            if let index = unsafe step.memoIndex(in: bytes) { memoized.insert(index) }
            return nil
        default: return nil
        }
    }

    /// Applies what an opcode adds to the stack.
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

    /// UTF-8 in quotes; what is not printable is escaped.
    static func quoted(_ bytes: UnsafeRawBufferPointer, limit: Int) -> String {
        var text = ""
        var at = 0
        let isValid = unsafe WTF8.isValid(bytes)
        while at < bytes.count, at < limit {
            // A run of printable ASCII in one piece.
            let start = at
            while at < bytes.count, at < limit, unsafe 0x20..<0x7f ~= bytes[at], unsafe bytes[at] != 0x5c { at += 1 }
            if at > start { unsafe text += String(decoding: bytes[start..<at], as: UTF8.self) }
            guard at < bytes.count, at < limit else { break }
            let (scalar, length) = unsafe isValid ? WTF8.decode(bytes, at: at) : (UInt32(bytes[at]), 1)
            append(scalar, to: &text)
            at += length
        }
        return enclose(text, isCut: at < bytes.count)
    }

    /// Bytes in quotes.
    static func quotedLatin1(_ bytes: UnsafeRawBufferPointer, limit: Int, prefix: String) -> String {
        var text = ""
        for index in 0..<min(limit, bytes.count) {
            let byte = unsafe bytes[index]
            if prefix.isEmpty || byte < 0x80 {
                append(UInt32(byte), to: &text)
            } else {
                text += character(byte)
            }
        }
        return prefix + enclose(text, isCut: bytes.count > limit)
    }

    private static func append(_ scalar: UInt32, to text: inout String) {
        if scalar == 0x5c {
            text += "\\\\"
        } else if PrintableText.isPrintable(scalar), let character = Unicode.Scalar(scalar) {
            text.unicodeScalars.append(character)
        } else {
            var escape = JSONWriter(capacity: 16)
            PrintableText.appendEscape(of: scalar, to: &escape)
            text += String(decoding: escape.copyBytes(), as: UTF8.self)
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
