/// A growable array in raw memory that keeps its capacity between uses and has one owner.
///
/// An `Array` here would cost a uniqueness check per write and a retain per read on the hot path. Every access
/// through the subscript is checked; growth at least doubles.
struct RawArray<Element: BitwiseCopyable>: ~Copyable {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var count = 0
    private(set) var capacity: Int

    /// - Parameter capacity: elements reserved at once; none are with 0, which costs no allocation.
    init(capacity: Int = 0) {
        self.capacity = capacity
        base = capacity > 0 ? .allocate(capacity: capacity) : Self.nowhere
    }

    deinit {
        if capacity > 0 { base.deallocate() }
    }

    /// An address that is never read or written.
    @inline(__always) private static var nowhere: UnsafeMutablePointer<Element> {
        UnsafeMutablePointer(bitPattern: 64) ?? .allocate(capacity: 1)
    }

    @inline(__always) var isEmpty: Bool { count == 0 }
    @inline(__always) var isFull: Bool { count == capacity }

    @inline(__always) subscript(index: Int) -> Element {
        get {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
            return base[index]
        }
        set {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
            base[index] = newValue
        }
    }

    @inline(__always) subscript(index: UInt32) -> Element {
        get { self[Int(index)] }
        set { self[Int(index)] = newValue }
    }

    @inline(__always) mutating func append(_ element: Element) {
        if count == capacity { reserve(1) }
        base[count] = element
        count &+= 1
    }

    /// Appends `more` copies of an element.
    mutating func append(repeating element: Element, count more: Int) {
        reserve(more)
        (base + count).initialize(repeating: element, count: more)
        count += more
    }

    /// Appends elements that lie outside this array.
    mutating func append(from source: UnsafePointer<Element>, count more: Int) {
        reserve(more)
        (base + count).update(from: source, count: more)
        count += more
    }

    @inline(__always) mutating func removeLast() -> Element {
        precondition(count > 0)
        count &-= 1
        return base[count]
    }

    @inline(__always) mutating func truncate(to newCount: Int) {
        precondition(UInt(bitPattern: newCount) <= UInt(bitPattern: count))
        count = newCount
    }

    @inline(__always) mutating func reserve(_ more: Int) {
        if capacity &- count < more { grow(more) }
    }

    @inline(never) private mutating func grow(_ more: Int) {
        let wanted = max(capacity * 2, count + more, 16)
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: wanted)
        larger.update(from: base, count: count)
        if capacity > 0 { base.deallocate() }
        base = larger
        capacity = wanted
    }

    /// Gives memory above `limit` elements back, so that one large pickle does not hold it for ever.
    @inline(__always) mutating func shrink(to limit: Int) {
        count = 0
        if capacity > limit { release() }
    }

    @inline(never) private mutating func release() {
        base.deallocate()
        capacity = 0
        base = Self.nowhere
    }
}
