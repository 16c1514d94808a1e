/// A growable array in raw memory that keeps its capacity between uses and has one owner.
///
/// An `Array` here would cost a uniqueness check per write and a retain per read on the hot path. Every access
/// through the subscript is checked; growth at least doubles.
@safe public struct RawArray<Element: BitwiseCopyable>: ~Copyable {
    @usableFromInline var storage: UnsafeMutablePointer<Element>
    @usableFromInline var used = 0
    @usableFromInline var reserved: Int

    /// The first element; valid until the array grows.
    @inlinable @inline(__always) public var base: UnsafeMutablePointer<Element> { unsafe storage }
    @inlinable @inline(__always) public var count: Int { used }
    /// Elements that fit without growing.
    @inlinable @inline(__always) public var capacity: Int { reserved }

    /// - Parameter capacity: elements reserved at once; none are with 0, which costs no allocation.
    @inlinable public init(capacity: Int = 0) {
        reserved = capacity
        unsafe storage = unsafe capacity > 0 ? .allocate(capacity: capacity) : Self.nowhere
    }

    @inlinable deinit {
        if reserved > 0 { unsafe storage.deallocate() }
    }

    /// An address that is never read or written.
    @inlinable @inline(__always) static var nowhere: UnsafeMutablePointer<Element> {
        unsafe UnsafeMutablePointer(bitPattern: 64) ?? .allocate(capacity: 1)
    }

    @inlinable @inline(__always) public var isEmpty: Bool { count == 0 }

    @inlinable @inline(__always) public subscript(index: Int) -> Element {
        get {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
            return unsafe storage[index]
        }
        set {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
            unsafe storage[index] = newValue
        }
    }

    @inlinable @inline(__always) public subscript(index: UInt32) -> Element {
        get { self[Int(index)] }
        set { self[Int(index)] = newValue }
    }

    @inlinable @inline(__always) public mutating func append(_ element: Element) {
        if count == capacity { reserve(1) }
        unsafe storage[count] = element
        used &+= 1
    }

    /// Appends `more` copies of an element.
    @inlinable public mutating func append(repeating element: Element, count more: Int) {
        reserve(more)
        unsafe (storage + count).initialize(repeating: element, count: more)
        used += more
    }

    /// Appends elements that lie outside this array.
    @inlinable public mutating func append(from source: UnsafePointer<Element>, count more: Int) {
        reserve(more)
        unsafe (storage + count).update(from: source, count: more)
        used += more
    }

    @inlinable @inline(__always) public mutating func removeLast() -> Element {
        precondition(count > 0)
        used &-= 1
        return unsafe storage[count]
    }

    @inlinable @inline(__always) public mutating func truncate(to newCount: Int) {
        precondition(UInt(bitPattern: newCount) <= UInt(bitPattern: count))
        used = newCount
    }

    @inlinable @inline(__always) public mutating func reserve(_ more: Int) {
        if capacity &- count < more { grow(more) }
    }

    @inlinable @inline(never) mutating func grow(_ more: Int) {
        let wanted = max(capacity * 2, count + more, 16)
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: wanted)
        unsafe larger.update(from: storage, count: count)
        if capacity > 0 { unsafe storage.deallocate() }
        unsafe storage = unsafe larger
        reserved = wanted
    }

    /// Gives memory above `limit` elements back, so that one large input doesn't hold it for ever.
    @inlinable @inline(__always) public mutating func shrink(to limit: Int) {
        used = 0
        if capacity > limit { release() }
    }

    @inlinable @inline(never) mutating func release() {
        unsafe storage.deallocate()
        reserved = 0
        unsafe storage = unsafe Self.nowhere
    }
}
