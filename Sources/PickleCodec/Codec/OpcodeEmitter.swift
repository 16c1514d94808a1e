import Bytes

/// Writes opcodes of one protocol into a growable buffer: scalars by range, frames as CPython cuts them.
///
/// Knows nothing of values or memo: `PickleWriter` and `PickleSerializer` choose the values.
struct OpcodeEmitter: ~Copyable {
    private(set) var output = RawArray<UInt8>(capacity: 512)
    private(set) var version = 4
    /// Offset of the open frame's header, -1 when none is open.
    private var frameStart = -1
    private var isFramed = true

    /// CPython's `_Framer._FRAME_SIZE_TARGET`: a frame ends at the first value after so many bytes.
    private static let frameTarget = 64 * 1024
    private static let frameHeader = 9

    /// A copy of the bytes written.
    var bytes: [UInt8] { unsafe Array(UnsafeBufferPointer(start: output.base, count: output.count)) }

    /// Sets the protocol of later pickles.
    ///
    /// - Parameters:
    ///   - version: protocol, 0 to 5.
    ///   - isFramed: true if protocols 4 and 5 are framed; readers accept pickles without frames.
    mutating func configure(version: Int, isFramed: Bool) {
        self.version = min(max(version, 0), 5)
        self.isFramed = isFramed && version >= 4
    }

    /// Starts a new pickle in the same buffer.
    mutating func begin() {
        output.truncate(to: 0)
        frameStart = -1
        if version >= 2 {
            output.append(PickleOpcode.proto.rawValue)
            output.append(UInt8(version))
        }
    }

    /// Writes STOP and closes the frame.
    mutating func end() {
        emit(.stop)
        closeFrame()
    }

    /// Called before each value: CPython ends a frame there if it is long enough.
    @inline(__always) mutating func valueBegins() {
        if frameStart >= 0, output.count - frameStart - Self.frameHeader >= Self.frameTarget { closeFrame() }
    }

    // MARK: Opcodes

    @inline(__always) mutating func emit(_ opcode: PickleOpcode) {
        openFrame()
        output.append(opcode.rawValue)
    }

    mutating func emit(_ opcode: PickleOpcode, byte: UInt8) {
        emit(opcode)
        output.append(byte)
    }

    mutating func emit(_ opcode: PickleOpcode, word: UInt64, bytes: Int) {
        emit(opcode)
        append(word, bytes: bytes)
    }

    mutating func emit(_ opcode: PickleOpcode, line: StaticString) {
        emit(opcode)
        append(line)
        output.append(0x0a)
    }

    mutating func append(_ text: StaticString) {
        unsafe output.append(from: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        unsafe output.append(bytes)
    }

    mutating func appendByte(_ byte: UInt8) {
        output.append(byte)
    }

    private mutating func append(_ word: UInt64, bytes: Int) {
        for index in 0..<bytes { output.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * index))) }
    }

    /// Appends the text that `write` writes, such as the digits of a number.
    mutating func append(_ write: (inout JSONWriter) -> Void) {
        var text = JSONWriter(capacity: 64)
        write(&text)
        unsafe text.withUnsafeBytes { unsafe append($0) }
    }

    // MARK: Payloads

    /// Opcode, length and bytes. From 64 KiB on they are written between frames, as CPython does.
    mutating func emit(_ opcode: PickleOpcode, lengthBytes: Int, payload: UnsafeRawBufferPointer) {
        let isLarge = isFramed && payload.count >= Self.frameTarget
        if isLarge {
            closeFrame()
            output.append(opcode.rawValue)
        } else {
            emit(opcode)
        }
        append(UInt64(payload.count), bytes: lengthBytes)
        unsafe append(payload)
    }

    // MARK: Frames

    @inline(__always) private mutating func openFrame() {
        guard isFramed, frameStart < 0 else { return }
        frameStart = output.count
        output.append(repeating: 0, count: Self.frameHeader)
    }

    private mutating func closeFrame() {
        guard frameStart >= 0 else { return }
        let length = output.count - frameStart - Self.frameHeader
        if length < 4 {
            // CPython announces no frame below 4 bytes.
            for index in 0..<length { output[frameStart + index] = output[frameStart + Self.frameHeader + index] }
            output.truncate(to: frameStart + length)
        } else {
            output[frameStart] = PickleOpcode.frame.rawValue
            for index in 0..<8 {
                output[frameStart + 1 + index] = UInt8(truncatingIfNeeded: UInt64(length) >> UInt64(8 * index))
            }
        }
        frameStart = -1
    }
}
