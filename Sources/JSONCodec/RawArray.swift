/// One value or key of a parsed text, 16 bytes.
struct JSONTapeNode {
    struct Flags: OptionSet {
        let rawValue: UInt8
        /// A string that holds a backslash.
        static let hasEscapes = Flags(rawValue: 1)
        /// A scalar whose source is already what `JSONDocument.write` would print.
        static let isCanonical = Flags(rawValue: 2)
        /// A key that stood before in the same object: the first one links to the last value.
        static let isSuperseded = Flags(rawValue: 4)
    }

    var kind: JSONDocument.Kind
    var flags: Flags
    /// Scalar: the next node. Container: the node after its last descendant; its parent while it is open.
    /// Key: the node of its value.
    var link: UInt32
    /// First byte in the source; of a string the one after the quote.
    var offset: UInt32
    /// Bytes in the source; of a string without its quotes.
    var length: UInt32
}

/// Growable raw memory, kept between texts. Whoever holds it checks indices against `count`.
struct RawArray<Element: BitwiseCopyable>: ~Copyable {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var count = 0
    private(set) var capacity: Int

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
        base = .allocate(capacity: self.capacity)
    }

    deinit {
        base.deallocate()
    }

    mutating func append(_ element: Element) {
        if count == capacity { reserve(capacity * 2) }
        (base + count).initialize(to: element)
        count &+= 1
    }

    /// Empties it; memory beyond `retained` elements is given back, so that one huge text isn't paid for ever after.
    mutating func removeAll(retaining retained: Int) {
        count = 0
        if capacity > retained {
            base.deallocate()
            capacity = retained
            base = .allocate(capacity: capacity)
        }
    }

    mutating func reserve(_ wanted: Int) {
        guard wanted > capacity else { return }
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: wanted)
        larger.initialize(from: base, count: count)
        base.deallocate()
        base = larger
        capacity = wanted
    }

    /// Sets `wanted` elements to one value.
    mutating func fill(_ wanted: Int, with element: Element) {
        count = 0
        reserve(wanted)
        base.initialize(repeating: element, count: wanted)
        count = wanted
    }
}
