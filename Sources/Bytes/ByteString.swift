/// Bytes of a text as Python has it: UTF-8 in which lone surrogates may stand (WTF-8).
///
/// Rooms, sids, namespaces and keys are compared byte by byte on the wire. `String` compares by canonical
/// equivalence and can't hold a lone surrogate, so two different rooms could become one.
///
/// Public for the sake of inlining, like `JSONWriter`.
public struct ByteString: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    @usableFromInline let storage: [UInt8]

    /// Copies the bytes; they aren't checked.
    @inlinable public init(_ bytes: UnsafeRawBufferPointer) {
        storage = unsafe Array(bytes)
    }

    /// The UTF-8 of a text.
    @inlinable public init(_ string: String) {
        storage = Array(string.utf8)
    }

    /// Copies the bytes; they aren't checked.
    @inlinable public init<S: Sequence>(bytes: S) where S.Element == UInt8 {
        storage = Array(bytes)
    }

    @inlinable public init(stringLiteral value: StaticString) {
        storage = value.withUTF8Buffer { unsafe Array($0) }
    }

    /// Length in bytes.
    @inlinable public var count: Int { storage.count }

    /// True if there is no byte at all.
    @inlinable public var isEmpty: Bool { storage.isEmpty }

    /// The bytes as an array.
    @inlinable public var bytes: [UInt8] { storage }

    /// Calls `body` with the bytes, which are valid only during the call.
    @inlinable public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try unsafe storage.withUnsafeBytes(body)
    }

    /// True if these are the same bytes.
    @inlinable public func hasBytes(_ bytes: UnsafeRawBufferPointer) -> Bool {
        unsafe storage.count == bytes.count && storage.withUnsafeBytes { unsafe equalBytes($0, bytes) }
    }

    @inlinable public func hash(into hasher: inout Hasher) {
        unsafe storage.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }

    @inlinable public static func == (left: ByteString, right: ByteString) -> Bool {
        left.storage == right.storage
    }

    /// The text on one line, for logs and messages (``PrintableText``): escaped where it can't be printed, cut where it
    /// is long.
    public var description: String {
        PrintableText.line(storage.span)
    }

    /// The whole text, for programs: invalid UTF-8 becomes U+FFFD.
    package var text: String {
        String(decoding: storage, as: UTF8.self)
    }
}

/// True if two runs of bytes are the same. Without a call of `memcmp`, which costs more than comparing a
/// key of a message.
@inlinable public func equalBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    let count = left.count
    guard count == right.count else { return false }
    guard let one = left.baseAddress, let other = right.baseAddress else { return true }
    var index = 0
    while count &- index >= 8 {
        let word = unsafe one.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        if unsafe word != other.loadUnaligned(fromByteOffset: index, as: UInt64.self) { return false }
        index &+= 8
    }
    if count &- index >= 4 {
        let word = unsafe one.loadUnaligned(fromByteOffset: index, as: UInt32.self)
        if unsafe word != other.loadUnaligned(fromByteOffset: index, as: UInt32.self) { return false }
        index &+= 4
    }
    while index < count {
        let byte = unsafe one.load(fromByteOffset: index, as: UInt8.self)
        if unsafe byte != other.load(fromByteOffset: index, as: UInt8.self) { return false }
        index &+= 1
    }
    return true
}

/// True if bytes are those of a literal.
@inlinable public func equalBytes(_ left: UnsafeRawBufferPointer, _ literal: StaticString) -> Bool {
    unsafe equalBytes(left, UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
}
