/// Why a pickle could not be decoded, and where.
///
/// `description` is one line: `pickle: byte 43: BINGET: memo has no entry 7 (expected an index stored earlier)`.
public struct PickleError: Error, Hashable, Sendable {
    /// The kind of failure. A struct, so that kinds can be added without breaking a `switch`.
    public struct Cause: Hashable, Sendable {
        let code: UInt8
        /// What is wrong, in a few words.
        public let summary: String
        init(_ code: UInt8, _ summary: String) {
            self.code = code
            self.summary = summary
        }
        public static func == (left: Cause, right: Cause) -> Bool { left.code == right.code }
        public func hash(into hasher: inout Hasher) { hasher.combine(code) }
    }

    /// What went wrong.
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
        self.cause = fault.cause
        self.byteOffset = byteOffset
        self.opcodeByte = opcodeByte
        self.detail = fault.detail
    }
}

/// A failure before its place is known: what the machine throws, and `PickleDocument.parse` turns into a `PickleError`.
struct PickleFault: Error {
    let code: Code
    let detail: UInt64?

    init(_ code: Code, _ detail: UInt64? = nil) {
        self.code = code
        self.detail = detail
    }

    var cause: PickleError.Cause { PickleError.Cause(code.rawValue, code.summary) }

    enum Code: UInt8 {
        case truncated, truncatedLine, unknownOpcode, unsupportedProtocol
        case frameTooLong, frameInFrame, crossesFrame
        case stackUnderflow, unexpectedMark, noMark, oddItems
        case memoMissing, invalidInteger, invalidFloat, negativeLength
        case invalidText, truncatedEscape, invalidEscape, unquotedString, invalidPersistentID, emptyName
        case notAList, notADict, notASet, notBuildable, notCallable, argumentsNotATuple, keywordsNotADict
        case noClass, namesNotText, notABuffer, noBuffer, extensionNotPositive, extensionUnknown
        case unhashable, notLatin1
        case cyclic, sharedTooOften
        case inputTooLong, tooManyNodes, tooDeep, tooManyMemoEntries, integerTooLong
    }
}
