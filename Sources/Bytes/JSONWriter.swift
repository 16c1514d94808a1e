/// Growable output buffer, reused between messages.
///
/// Writes text as Python's `json.dumps(x, separators=(',', ':'))` does: ASCII only, escapes in lower-case
/// hexadecimal, floats as `repr`. The caller writes brackets, commas and colons itself.
///
/// Public, although this module is no product: the compiler inlines only public functions into other modules.
public struct JSONWriter: ~Copyable {
    @usableFromInline var storage: UnsafeMutableRawPointer
    @usableFromInline var used = 0
    @usableFromInline var capacity: Int

    /// - Parameter capacity: bytes reserved at first; the buffer doubles when they don't suffice.
    public init(capacity: Int = 1024) {
        self.capacity = max(capacity, 64)
        storage = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit {
        storage.deallocate()
    }

    /// Bytes written so far.
    @inlinable public var count: Int { used }

    /// Bytes reserved.
    package var reservedBytes: Int { capacity }

    /// Forgets what was written and keeps the capacity.
    @inlinable public mutating func removeAll() {
        used = 0
    }

    /// Forgets what was written after the first `count` bytes.
    @inlinable public mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= used)
        used = count
    }

    /// Replaces a byte that was written.
    @inlinable public mutating func replaceByte(at index: Int, with byte: UInt8) {
        precondition(index >= 0 && index < used)
        storage.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
    }

    /// True if the bytes from `start` on are these.
    @inlinable public func ends(with literal: StaticString, from start: Int) -> Bool {
        guard used &- start == literal.utf8CodeUnitCount else { return false }
        return sameBytes(
            UnsafeRawBufferPointer(start: storage + start, count: used &- start),
            UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// Appends one byte as is.
    @inlinable @inline(__always) public mutating func append(_ byte: UInt8) {
        if used == capacity { grow(toHold: 1) }
        storage.storeBytes(of: byte, toByteOffset: used, as: UInt8.self)
        used &+= 1
    }

    /// Appends the bytes of a literal as they are.
    @inlinable @inline(__always) public mutating func append(_ literal: StaticString) {
        literal.withUTF8Buffer { append(raw: UnsafeRawBufferPointer($0)) }
    }

    /// Appends bytes as they are.
    @inlinable public mutating func append(raw bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        (storage + used).copyMemory(from: source, byteCount: bytes.count)
        used &+= bytes.count
    }

    /// Calls `body` with what was written; valid only during the call.
    @inlinable public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(start: storage, count: used))
    }

    /// A copy of what was written.
    public func copyBytes() -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: storage, count: used))
    }

    /// Makes room for `additional` more bytes.
    @inlinable @inline(__always) public mutating func reserve(_ additional: Int) {
        if capacity &- used < additional { grow(toHold: additional) }
    }

    @usableFromInline mutating func grow(toHold additional: Int) {
        let wanted = max(capacity * 2, used + additional)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 16)
        larger.copyMemory(from: storage, byteCount: used)
        storage.deallocate()
        storage = larger
        capacity = wanted
    }
}
