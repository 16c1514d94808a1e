/// Growable output buffer, reused between messages.
///
/// Writes text as Python's `json.dumps(x, separators=(',', ':'))` does: ASCII only, escapes in lower-case
/// hexadecimal, floats as `repr`. The caller writes brackets, commas and colons itself.
///
/// Public, although this module is no product: the compiler inlines only public functions into other modules.
public struct JSONWriter: ~Copyable {
    @usableFromInline var buffer: RawArray<UInt8>

    /// - Parameter capacity: bytes reserved at first; the buffer doubles when they don't suffice. With 0 nothing is allocated.
    public init(capacity: Int = 1024) {
        buffer = RawArray(capacity: capacity)
    }

    /// Bytes written so far.
    @inlinable public var count: Int { buffer.count }

    /// Bytes reserved.
    package var reservedBytes: Int { buffer.capacity }

    /// Where the next byte goes.
    var end: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(buffer.base + buffer.count) }

    /// Removes all bytes and keeps the capacity.
    @inlinable public mutating func removeAll() {
        buffer.truncate(to: 0)
    }

    /// Removes all bytes after the first `count`.
    @inlinable public mutating func truncate(to count: Int) {
        buffer.truncate(to: count)
    }

    /// Replaces a byte that was written.
    @inlinable public mutating func replaceByte(at index: Int, with byte: UInt8) {
        buffer[index] = byte
    }

    /// True if the bytes from `start` on are these.
    @inlinable public func ends(with literal: StaticString, from start: Int) -> Bool {
        precondition(start >= 0 && start <= count)
        return unsafe equalBytes(UnsafeRawBufferPointer(start: buffer.base + start, count: count &- start), literal)
    }

    /// Appends one byte as is.
    @inlinable @inline(__always) public mutating func append(_ byte: UInt8) {
        buffer.append(byte)
    }

    /// Appends the bytes of a literal as they are.
    @inlinable @inline(__always) public mutating func append(_ literal: StaticString) {
        literal.withUTF8Buffer { unsafe append(raw: UnsafeRawBufferPointer($0)) }
    }

    /// Appends bytes as they are.
    @inlinable public mutating func append(raw bytes: UnsafeRawBufferPointer) {
        unsafe buffer.append(bytes)
    }

    /// Appends a code point as WTF-8, surrogates included.
    package mutating func append(codePoint: UInt32) {
        buffer.append(codePoint: codePoint)
    }

    /// Calls `body` with the bytes written, which are valid only during the call.
    @inlinable public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try unsafe body(UnsafeRawBufferPointer(start: buffer.base, count: count))
    }

    /// A copy of the bytes written.
    public func copyBytes() -> [UInt8] {
        unsafe withUnsafeBytes { unsafe Array($0) }
    }

    /// Makes room for `additional` more bytes.
    @inlinable @inline(__always) public mutating func reserve(_ additional: Int) {
        buffer.reserve(additional)
    }
}
