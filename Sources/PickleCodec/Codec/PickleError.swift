/// Why a pickle could not be decoded, and where.
///
/// | Error | Thrown by | When |
/// |---|---|---|
/// | `PickleError` | `PickleValue(decoding:)`, `PickleGraph(decoding:)` | no pickle, beyond a limit, or no tree |
/// | `PickleWriteError` | `encoded(protocolVersion:isFramed:)` | the protocol has no way to write a value |
/// | `DecodingError` | `PickleDecoder` | the value doesn't fit the Swift type; a broken pickle is its underlying error |
/// | `PickleJSONError` | `PickleDocument.writeJSON` (in this package) | `json.dumps` would refuse a value |
/// | `PickleFault` | the machine (in this module) | a `PickleError` before its offset is known |
///
/// `description` is one line: `pickle: byte 43: BINGET: memo has no entry 7 (expected an index stored earlier)`.
public struct PickleError: Error, Hashable, Sendable {
    /// The kind of failure. A struct, so that kinds can be added without breaking a `switch`.
    public struct Cause: Hashable, Sendable {
        let code: PickleFault.Code
        /// The failure in a few words.
        public var summary: String { code.rawValue }
    }

    /// The kind of failure.
    public let cause: Cause
    /// Offset of the opcode that failed, in bytes from the start of the pickle; the input's length if it ends before STOP.
    public let byteOffset: Int
    /// The byte at `byteOffset`, nil at the end of the input.
    public let opcodeByte: UInt8?
    /// The number the failure is about (an index, a code, a length, a limit), if there is one.
    public let detail: UInt64?

    /// The opcode that failed, nil at the end of the input and for a byte that is no opcode.
    public var opcode: PickleOpcode? { opcodeByte.flatMap(PickleOpcode.init(rawValue:)) }

    init(_ fault: PickleFault, byteOffset: Int, opcodeByte: UInt8?) {
        cause = Cause(code: fault.code)
        self.byteOffset = byteOffset
        self.opcodeByte = opcodeByte
        self.detail = fault.detail
    }
}

extension PickleError: CustomStringConvertible {
    /// The expected input or the remedy; empty if the cause says it all.
    public var hint: String { cause.code.expectation }

    /// The error as one line with offset, opcode, cause and hint.
    public var description: String {
        var line = "pickle: byte \(byteOffset): "
        if let opcode { line += "\(opcode): " }
        line += cause.summary
        if cause == .unknownOpcode, let opcodeByte {
            let digits = String(opcodeByte, radix: 16)
            line += " 0x" + (digits.count == 1 ? "0" : "") + digits
        } else if let detail {
            line += " \(detail)"
        }
        let hint = hint
        return hint.isEmpty ? line : line + " (" + hint + ")"
    }
}

extension PickleError.Cause {
    /// The data ends inside an opcode or before STOP.
    public static var truncated: Self { Self(code: .truncated) }
    /// A text argument without its line feed.
    public static var truncatedLine: Self { Self(code: .truncatedLine) }
    /// A byte that is no opcode.
    public static var unknownOpcode: Self { Self(code: .unknownOpcode) }
    /// A key or set element that Python cannot hash.
    public static var unhashable: Self { Self(code: .unhashable) }
    /// A container contains itself, which a tree cannot say.
    public static var cyclic: Self { Self(code: .cyclic) }
    /// `PickleLimits.maximumTreeValues`.
    public static var sharedTooOften: Self { Self(code: .sharedTooOften) }
    /// `PickleLimits.maximumInputBytes`.
    public static var inputTooLong: Self { Self(code: .inputTooLong) }
    /// `PickleLimits.maximumNodes`.
    public static var tooManyNodes: Self { Self(code: .tooManyNodes) }
    /// `PickleLimits.maximumDepth`.
    public static var tooDeep: Self { Self(code: .tooDeep) }
    /// `PickleLimits.maximumMemoEntries`.
    public static var tooManyMemoEntries: Self { Self(code: .tooManyMemoEntries) }
    /// `PickleLimits.maximumDecimalDigits` or `maximumIntegerBytes`.
    public static var integerTooLong: Self { Self(code: .integerTooLong) }
}

/// A failure before its offset is known. The machine throws it; `PickleDocument.parse` makes it a `PickleError`.
struct PickleFault: Error {
    let code: Code
    let detail: UInt64?

    init(_ code: Code, _ detail: UInt64? = nil) {
        self.code = code
        self.detail = detail
    }

    /// The raw value names the failure; the message continues with the detail number if there is one.
    enum Code: String {
        case truncated = "the data ends too early"
        case truncatedLine = "the line does not end"
        case unknownOpcode = "unknown opcode"
        case unsupportedProtocol = "unsupported protocol"
        case frameTooLong = "the frame is longer than the data"
        case frameInFrame = "a frame begins inside a frame"
        case crossesFrame = "the argument crosses the end of the frame"
        case stackUnderflow = "stack underflow"
        case unexpectedMark = "unexpected MARK"
        case noMark = "no MARK on the stack"
        case oddItems = "odd number of items"
        case memoMissing = "memo has no entry"
        case invalidInteger = "invalid decimal integer"
        case invalidFloat = "invalid float"
        case negativeLength = "negative length"
        case invalidText = "invalid UTF-8"
        case truncatedEscape = "truncated \\u escape"
        case invalidEscape = "invalid escape"
        case unquotedString = "the text is not quoted"
        case invalidPersistentID = "the persistent id is not ASCII"
        case emptyName = "empty module or name"
        case notAList = "the target is not a list"
        case notADict = "the target is not a dict"
        case notASet = "the target is not a set"
        case notBuildable = "the target is not an object"
        case notCallable = "the callable is not a name or object"
        case argumentsNotATuple = "the arguments are not a tuple"
        case keywordsNotADict = "the keyword arguments are not a dict"
        case noClass = "no class above the MARK"
        case namesNotText = "module and name are not text"
        case notABuffer = "the target is not a buffer"
        case noBuffer = "no out-of-band buffer is left"
        case extensionNotPositive = "the extension code is not positive"
        case extensionUnknown = "unregistered extension code"
        case unhashable = "unhashable key or set element"
        case notLatin1 = "a character above U+00FF in latin-1 text"
        case cyclic = "a container contains itself"
        case sharedTooOften = "shared values would make too large a tree: more than"
        case inputTooLong = "the pickle is too long: bytes"
        case tooManyNodes = "too many values: more than"
        case tooDeep = "nested too deeply: more than"
        case tooManyMemoEntries = "memo limit reached at"
        case integerTooLong = "integer too long: digits or bytes"
    }
}

extension PickleFault.Code {
    /// The expected input or the remedy; empty if the summary says it all.
    var expectation: String {
        switch self {
        case .truncated, .truncatedLine: "expected more data, up to STOP; was the message cut?"
        case .unknownOpcode: "expected one of the 68 opcodes of protocols 0 to 5; is this a pickle?"
        case .unsupportedProtocol: "expected 0 to 5"
        case .memoMissing: "expected an index stored earlier"
        case .invalidInteger: "expected an optional minus and digits"
        case .invalidFloat: "expected what Python's repr prints"
        case .invalidText: "expected UTF-8, surrogates allowed"
        case .notAList, .notADict, .notASet: "expected a container of that kind, or an object"
        case .notCallable: "expected GLOBAL, STACK_GLOBAL or an object before"
        case .noBuffer: "give the buffers of the pickle to the decoder"
        case .extensionUnknown: "give the extension registry to the decoder"
        case .unhashable: "expected no list, dict, set or bytearray there, as in Python"
        case .cyclic, .sharedTooOften: "decode to a PickleGraph"
        case .inputTooLong, .tooManyNodes, .tooDeep, .tooManyMemoEntries, .integerTooLong:
            "raise the limit in PickleLimits if the source is trusted"
        default: ""
        }
    }
}

/// Why a value could not be written as a pickle.
public enum PickleWriteError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A protocol other than 0 to 5.
    case unsupportedProtocol(Int)
    /// A list, dict, set or bytearray as dict key or set element, or in a tuple that is one.
    case unhashable
    /// A name with a line feed or a lone surrogate, which protocols below 4 cannot write.
    case unwritableName
    /// A persistent id that is not ASCII text, which protocol 0 cannot write.
    case unwritablePersistentID
    /// A container that contains itself only through immutable values, or through a set below protocol 4.
    case unwritableCycle
    /// Objects filled by ADDITEMS need protocol 4.
    case needsProtocol4
    /// An integer of more than 2 147 483 647 bytes, or a Python 2 str of that length.
    case tooLong

    /// The error as one line.
    public var description: String {
        switch self {
        case .unsupportedProtocol(let version): "pickle: protocol \(version) does not exist (0 to 5 do)"
        case .unhashable: "pickle: a list, dict, set or bytearray cannot be a key or in a set"
        case .unwritableName: "pickle: a name cannot be written below protocol 4"
        case .unwritablePersistentID: "pickle: protocol 0 writes only ASCII text as persistent id"
        case .unwritableCycle: "pickle: a container contains itself in a way no pickle can say"
        case .needsProtocol4: "pickle: items added to a set-like object need protocol 4"
        case .tooLong: "pickle: a value is too long"
        }
    }
}
