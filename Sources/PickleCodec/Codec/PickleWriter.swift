import Bytes

/// Writes one pickle of built-in types call by call into a reused buffer. The default is protocol 2.
///
/// ```
/// var writer = PickleWriter()
/// writer.beginDict()
/// writer.append("method"); writer.append("emit")
/// writer.endDict()
/// writer.finish()
/// writer.withUnsafeBytes { publish($0) }
/// ```
///
/// Inside a dict keys and values alternate. No memo is used: equal strings are written again, which every reader
/// accepts. Unbalanced calls are a programmer's error and stop the program. At protocols below 3 bytes are spelled as a
/// call of `_codecs.encode`, as CPython does.
package struct PickleWriter: ~Copyable {
    private var emitter = OpcodeEmitter()
    private var open = RawArray<OpenContainer>()
    private var isFinished = false

    // Not private: importing modules destroy the array, and the compiler needs the type for that.
    struct OpenContainer: BitwiseCopyable {
        var kind: PickleKind
        /// Values since the last MARK, and true if there is a MARK.
        var pendingValues = 0
        var hasMark = false
    }

    /// CPython's `_BATCHSIZE`: readers keep a batch on their stack.
    private static let batch = 1000

    /// - Parameter version: protocol 0 to 5. Default 2, which Python 2.3 and later read.
    package init(version: Int = 2) {
        emitter.configure(version: version, isFramed: false)
        emitter.begin()
    }

    /// Starts a new pickle in the same memory.
    package mutating func removeAll() {
        open.truncate(to: 0)
        isFinished = false
        emitter.begin()
    }

    /// Ends the pickle.
    package mutating func finish() {
        precondition(open.isEmpty && !isFinished)
        emitter.end()
        isFinished = true
    }

    /// Calls `body` with the finished pickle, valid only during the call.
    package func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        precondition(isFinished)
        return try unsafe body(UnsafeRawBufferPointer(start: emitter.output.base, count: emitter.output.count))
    }

    /// A copy of the finished pickle.
    package func copyBytes() -> [UInt8] {
        unsafe withUnsafeBytes { unsafe Array($0) }
    }

    // MARK: Scalars

    /// Writes None.
    package mutating func appendNone() { write { $0.emit(.none) } }

    /// Writes a bool.
    package mutating func append(_ value: Bool) { write { $0.emitBool(value) } }

    /// Writes an int.
    package mutating func append(_ value: Int64) { write { $0.emitInteger(value) } }

    /// Writes an int given as little-endian two's complement of any length.
    package mutating func appendInteger(twosComplement bytes: UnsafeRawBufferPointer) {
        let length = unsafe TwosComplement.minimalLength(bytes)
        if length <= 8 { return unsafe append(Int64(bitPattern: TwosComplement.word(bytes, length: length))) }
        write { unsafe $0.emitBigInteger(UnsafeRawBufferPointer(rebasing: bytes[..<length])) }
    }

    /// Writes a float.
    package mutating func append(_ value: Double) { write { $0.emitFloat(value) } }

    /// Writes a str, given as UTF-8 in which lone surrogates may stand.
    package mutating func appendString(wtf8 bytes: UnsafeRawBufferPointer) { write { unsafe $0.emitText(bytes) } }

    /// Writes a str.
    package mutating func appendText(_ value: ByteString) {
        unsafe value.withUnsafeBytes { unsafe appendString(wtf8: $0) }
    }

    /// Writes a str.
    package mutating func append(_ literal: StaticString) {
        write { $0.emitText(literal) }
    }

    /// Writes bytes.
    package mutating func appendBytes(_ bytes: UnsafeRawBufferPointer) {
        valueBegins()
        if emitter.version >= 3 { unsafe emitter.emitBytes(bytes) } else { unsafe emitLatin1Call(bytes) }
        valueEnded()
    }

    /// `_codecs.encode(text, 'latin1')`, or `bytes()` for none.
    private mutating func emitLatin1Call(_ bytes: UnsafeRawBufferPointer) {
        if unsafe bytes.isEmpty {
            emitter.emit(.global)
            emitter.append("__builtin__\nbytes\n")
            emitter.emitEmpty(.emptyTuple, .tuple)
        } else {
            emitter.emit(.global)
            emitter.append("_codecs\nencode\n")
            emitter.emit(.mark)
            unsafe emitter.emitText(latin1: bytes)
            emitter.emitText("latin1")
            emitter.emit(.tuple)
        }
        emitter.emit(.reduce)
    }

    // MARK: Containers

    /// Opens a list; its items follow.
    package mutating func beginList() { begin(.list) }
    /// Closes a list.
    package mutating func endList() { end(.list, .appends) }
    /// Opens a tuple; its items follow.
    package mutating func beginTuple() { begin(.tuple) }
    /// Closes a tuple.
    package mutating func endTuple() { end(.tuple, .tuple) }
    /// Opens a dict; keys and values follow in turn.
    package mutating func beginDict() { begin(.dict) }
    /// Closes a dict.
    package mutating func endDict() { end(.dict, .setItems) }

    private mutating func begin(_ kind: PickleKind) {
        valueBegins()
        switch kind {
        case .list: emitter.emitEmpty(.emptyList, .list)
        case .dict: emitter.emitEmpty(.emptyDict, .dict)
        default: emitter.emit(.mark)
        }
        open.append(OpenContainer(kind: kind, hasMark: kind == .tuple))
    }

    private mutating func end(_ kind: PickleKind, _ opcode: PickleOpcode) {
        precondition(!open.isEmpty && open[open.count - 1].kind == kind)
        let container = open.removeLast()
        precondition(kind != .dict || container.pendingValues & 1 == 0)
        if container.hasMark { emitter.emit(opcode) }
        valueEnded()
    }

    @inline(__always) private mutating func write(_ value: (inout OpcodeEmitter) -> Void) {
        valueBegins()
        value(&emitter)
        valueEnded()
    }

    private mutating func valueBegins() {
        precondition(!isFinished)
        guard !open.isEmpty else { return }
        let container = open[open.count - 1]
        // Protocol 0 sets and appends one by one.
        if !container.hasMark, emitter.version > 0 {
            emitter.emit(.mark)
            open[open.count - 1].hasMark = true
        }
    }

    private mutating func valueEnded() {
        guard !open.isEmpty else { return }
        var container = open[open.count - 1]
        container.pendingValues += 1
        let size = container.kind == .dict ? 2 : 1
        if container.kind != .tuple {
            if emitter.version == 0, container.pendingValues == size {
                emitter.emit(container.kind == .dict ? .setItem : .append)
                container.pendingValues = 0
            } else if container.pendingValues == size * Self.batch {
                emitter.emit(container.kind == .dict ? .setItems : .appends)
                container.pendingValues = 0
                container.hasMark = false
            }
        }
        open[open.count - 1] = container
    }
}
