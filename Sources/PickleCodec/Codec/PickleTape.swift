import Bytes

/// One value on the tape, 16 bytes.
///
/// | kind | count | first | last |
/// |---|---|---|---|
/// | int | - | low word | high word |
/// | int, big | bytes of two's complement | offset | - |
/// | float | - | low word of the bits | high word |
/// | str, byteString, bytes, bytearray | bytes | offset | - |
/// | tuple, list, set, frozenset, dict | items (a pair is two) | first segment | last segment |
/// | global | `WellKnownName` | module node | name node |
/// | object | - | record in `links` | - |
/// | persistentID | - | id node | - |
///
/// An offset is into the input, or into `scratch` when the flag says so.
struct TapeNode: BitwiseCopyable {
    var kind: PickleKind
    var flags = Flags(rawValue: 0)
    /// Nesting including this node, exact as long as no container was fetched again; see `PickleTape.treeExtent(of:)`.
    var depth: UInt16 = 0
    var count: UInt32 = 0
    var first: UInt32 = 0
    var last: UInt32 = 0

    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        /// The bytes are in `scratch`, not in the input.
        static let inScratch = Flags(rawValue: 1)
        /// An integer beyond 64 bits.
        static let big = Flags(rawValue: 2)
        /// Python cannot hash it, or something in it.
        static let unhashable = Flags(rawValue: 4)
        /// Equal keys or elements may still be in it.
        static let pending = Flags(rawValue: 8)
        /// A str that is known to be ASCII.
        static let ascii = Flags(rawValue: 16)
        /// A name that was read at protocol 0 to 2, and one that was read at a later protocol.
        static let upToProtocol2 = Flags(rawValue: 32)
        static let fromProtocol3 = Flags(rawValue: 64)
    }

    @inline(__always) var word: UInt64 {
        get { UInt64(first) | UInt64(last) << 32 }
        set {
            first = UInt32(truncatingIfNeeded: newValue)
            last = UInt32(truncatingIfNeeded: newValue >> 32)
        }
    }
}

extension TapeNode {
    /// The children of a tuple, list, set, frozenset or dict.
    @inline(__always) var chain: ItemChain {
        get { ItemChain(count: count, first: first, last: last) }
        set {
            count = newValue.count
            first = newValue.first
            last = newValue.last
        }
    }

    /// A container of items.
    init(_ kind: PickleKind, _ flags: Flags, depth: UInt16 = 0, chain: ItemChain) {
        self.init(kind: kind, flags: flags, depth: depth, count: chain.count, first: chain.first, last: chain.last)
    }
}

/// A chain of segments in `PickleTape.links`: `[next segment or 0, items, item, item, ...]`.
struct ItemChain: BitwiseCopyable {
    var count: UInt32 = 0
    var first: UInt32 = 0
    var last: UInt32 = 0
}

/// A position in a chain of items of a tape: 16 bytes, no reference to the tape, no allocation.
package struct TapeCursor: BitwiseCopyable, Sendable {
    private var at: UInt32 = 0
    private var end: UInt32 = 0
    private var nextSegment: UInt32
    /// Items that are still to come.
    package private(set) var remaining: UInt32

    init(_ chain: ItemChain) {
        nextSegment = chain.first
        remaining = chain.count
    }

    /// The next item, or nil at the end.
    @inline(__always) mutating func next(in tape: borrowing PickleTape) -> UInt32? {
        while at == end {
            guard nextSegment != 0 else { return nil }
            at = nextSegment + 2
            end = at + tape.links[nextSegment + 1]
            nextSegment = tape.links[nextSegment]
        }
        let index = tape.links[at]
        at += 1
        remaining &-= 1
        return index
    }

    /// The next item as a node of a document, or nil at the end.
    @inline(__always) package mutating func next(in document: borrowing PickleDocument) -> PickleNode? {
        next(in: document.machine.tape).map { PickleNode(index: $0) }
    }
}

/// Words of an object's record in `PickleTape.links`.
enum ObjectField {
    static let constructor = 0
    static let callable = 1
    static let arguments = 2
    /// Node of the keyword dict, or 0.
    static let keywords = 3
    /// Chains of three words each.
    static let states = 4
    static let items = 7
    static let pairs = 10
    static let adds = 13
    /// Node of the Python value that a numpy scalar is, or 0.
    static let content = 16
    static let words = 17
}

/// The decoded values: nodes, their child lists, and bytes that are not in the input as such.
@safe struct PickleTape: ~Copyable {
    var nodes = RawArray<TapeNode>()
    var links = RawArray<UInt32>()
    var scratch = RawArray<UInt8>()
    var input = unsafe UnsafeRawBufferPointer(start: nil, count: 0)

    /// The nodes of None, False and True: values without identity need only one.
    static let none: UInt32 = 0
    static let `false`: UInt32 = 1
    static let `true`: UInt32 = 2

    /// Starts over with only the nodes of None, False and True.
    mutating func reset() {
        if nodes.count >= 3, nodes.capacity <= 1 << 21, links.capacity <= 1 << 22 {
            nodes.truncate(to: 3)
            links.truncate(to: 1)
        } else {
            begin()
        }
        scratch.shrink(to: 1 << 22)
    }

    /// Starts with empty memory: two million nodes are 32 MiB, and the memory of one unusual message is not kept for all
    /// later ones.
    private mutating func begin() {
        nodes.shrink(to: 1 << 21)
        links.shrink(to: 1 << 22)
        // A byte makes at most one node; texts take several. Growing costs a copy, so a short pickle starts with enough.
        unsafe nodes.reserve(min(input.count, 1024) / 4 + 8)
        unsafe links.reserve(min(input.count, 1024) / 4 + 8)
        nodes.append(TapeNode(kind: .none))
        nodes.append(TapeNode(kind: .bool, first: 0))
        nodes.append(TapeNode(kind: .bool, first: 1))
        links.append(0)
    }

    /// The bytes of a text, bytes or big integer node.
    @inline(__always) func content(of node: TapeNode) -> UnsafeRawBufferPointer {
        let length = Int(node.count)
        let offset = Int(node.first)
        if node.flags.contains(.inScratch) {
            precondition(offset + length <= scratch.count)
            return unsafe UnsafeRawBufferPointer(start: scratch.base + offset, count: length)
        }
        unsafe precondition(offset + length <= input.count)
        return unsafe UnsafeRawBufferPointer(rebasing: input[offset..<(offset + length)])
    }

    /// One of an object's four chains.
    func chain(_ field: Int, ofRecord record: UInt32) -> ItemChain {
        let at = Int(record) + field
        return ItemChain(count: links[at], first: links[at + 1], last: links[at + 2])
    }

    mutating func setChain(_ chain: ItemChain, _ field: Int, ofRecord record: UInt32) {
        let at = Int(record) + field
        links[at] = chain.count
        links[at + 1] = chain.first
        links[at + 2] = chain.last
    }

    /// Appends items to a chain: to its last segment if that ends the links, otherwise as a new segment.
    mutating func extend(
        _ chain: inout ItemChain, from items: UnsafePointer<UInt32>, count: Int
    ) throws(PickleFault) {
        guard count > 0 else { return }
        guard links.count + count < Int(UInt32.max) - 64 else { throw PickleFault(.tooManyNodes, UInt64(UInt32.max)) }
        links.reserve(count + 2)
        let end = Int(chain.last) + 2
        if chain.last != 0, end + Int(links[end - 1]) == links.count {
            links[end - 1] += UInt32(count)
        } else {
            let segment = UInt32(links.count)
            if chain.last == 0 { chain.first = segment } else { links[chain.last] = segment }
            links.append(0)
            links.append(UInt32(count))
            chain.last = segment
        }
        unsafe links.append(from: items, count: count)
        chain.count += UInt32(count)
    }

    /// Visits the items of a chain in order.
    @inline(__always)
    func forEach<E: Error>(in chain: ItemChain, _ body: (UInt32) throws(E) -> Void) throws(E) {
        var items = TapeCursor(chain)
        while let item = items.next(in: self) { try body(item) }
    }

    /// Visits everything a node refers to, in the order of the pickle's parts.
    func forEachChild<E: Error>(of index: UInt32, _ body: (UInt32) throws(E) -> Void) throws(E) {
        let node = nodes[index]
        switch node.kind {
        case .tuple, .list, .set, .frozenset, .dict:
            try forEach(in: node.chain, body)
        case .persistentID:
            try body(node.first)
        case .object:
            let record = Int(node.first)
            try body(links[record + ObjectField.callable])
            try body(links[record + ObjectField.arguments])
            let keywords = links[record + ObjectField.keywords]
            if keywords != 0 { try body(keywords) }
            try forEach(in: chain(ObjectField.states, ofRecord: node.first), body)
            try forEach(in: chain(ObjectField.items, ofRecord: node.first), body)
            try forEach(in: chain(ObjectField.adds, ofRecord: node.first), body)
            try forEach(in: chain(ObjectField.pairs, ofRecord: node.first), body)
        default:
            break
        }
    }
}

extension PickleTape {
    /// A new node for a name, whose two texts are on the tape.
    func global(module: UInt32, name: UInt32, _ flags: TapeNode.Flags) -> TapeNode {
        let known = unsafe WellKnownName(module: content(of: nodes[module]), name: content(of: nodes[name]))
        return TapeNode(kind: .global, flags: flags, count: UInt32(known.rawValue), first: module, last: name)
    }

    /// A new node for an object, and its record; `keywords` is 0 where there are none.
    mutating func object(
        _ constructor: PickleConstructor, _ callable: UInt32, _ arguments: UInt32, keywords: UInt32, depth: UInt16 = 0
    ) -> TapeNode {
        let record = links.count
        links.append(repeating: 0, count: ObjectField.words)
        links[record + ObjectField.constructor] = constructor.rawValue
        links[record + ObjectField.callable] = callable
        links[record + ObjectField.arguments] = arguments
        links[record + ObjectField.keywords] = keywords
        return TapeNode(kind: .object, depth: depth, first: UInt32(record))
    }

    /// The name by which another Python finds a global node at a protocol; nil for the same.
    func translatedName(of node: TapeNode, to version: Int) -> PickleName? {
        if node.flags.contains(version >= 3 ? .fromProtocol3 : .upToProtocol2) { return nil }
        return name(of: node).translated(to: version)
    }

    /// Module and name of a global node.
    func name(of node: TapeNode) -> PickleName {
        var name = unsafe PickleName(
            module: String(decoding: content(of: nodes[node.first]), as: UTF8.self),
            name: String(decoding: content(of: nodes[node.last]), as: UTF8.self))
        if node.flags.contains(.upToProtocol2) { name.origin = .upToProtocol2 }
        if node.flags.contains(.fromProtocol3) { name.origin = .fromProtocol3 }
        return name
    }
}
