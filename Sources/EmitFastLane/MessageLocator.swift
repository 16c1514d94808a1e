import Bytes
import JSONCodec
import PickleCodec

/// A key of a message and its value, as offsets in the payload.
struct LocatedPair: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        case none, `false`, `true`
        /// In JSON: printable ASCII without escapes, so that the bytes are the content.
        case text
        /// A list in JSON.
        case list
        case other
    }

    var kind = Kind.other
    /// The content of the key.
    var key: Extent
    /// All bytes of the value.
    var value: Extent
    /// The content of a text. In a pickle it is before the value if the value comes from the memo.
    var text = Extent()
    /// In a pickle, the tokens of the value.
    var tokens = Extent()
}

struct Extent: BitwiseCopyable {
    var start: UInt32 = 0
    var end: UInt32 = 0

    @inline(__always) func moved(by distance: UInt32) -> Self { Self(start: start &+ distance, end: end &+ distance) }

    @inline(__always) func bytes(of input: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: input[Int(start)..<Int(end)])
    }
}

/// Reads the pairs of a message from its bytes, in one pass and without a tape.
///
/// Every read is within the bytes. A method that returns false or nil leaves the message to the parser.
protocol MessageWalk {
    associatedtype Memory: WalkMemory
    /// The walk itself accepts only texts with valid bytes.
    static var hasValidTexts: Bool { get }
    /// In JSON a list holds the arguments of the event, and the key `binary` has a meaning.
    static var isJSON: Bool { get }
    /// The position of the next byte.
    var position: UInt32 { get }
    var isAtEnd: Bool { get }
    /// The walk met nothing that only the parser reads.
    var isPlain: Bool { get }

    init(_ bytes: UnsafeRawBufferPointer, _ memory: Memory)
    /// Passes the bytes at the beginning that may differ between messages of the same template.
    mutating func enter() -> Bool
    /// Reads all pairs, and returns their number.
    mutating func readPairs(_ pairs: UnsafeMutablePointer<LocatedPair>) -> Int?
    /// Passes these bytes if they come next.
    mutating func pass(_ bytes: UnsafeRawBufferPointer) -> Bool
    /// Passes a text up to the end of its content.
    mutating func passText() -> Extent?
    /// Passes any value and describes it in the pair.
    ///
    /// - Parameters:
    ///   - memoCount: entries in the memo of a pickle.
    ///   - follower: the bytes that follow the value. A pickled value has no end of its own.
    mutating func passValue(
        of pair: inout LocatedPair, _ memoCount: Int, before follower: UnsafeRawBufferPointer
    ) -> Bool
    /// The number of entries in the memo of a pickle that has been read up to the position.
    static func memoCount(at position: UInt32, of bytes: UnsafeRawBufferPointer, _ memory: Memory) -> Int
}

/// The buffers of a walk, allocated once.
protocol WalkMemory {
    init()
    func deallocate()
}

/// Locates the pairs of a message, and recognises messages that are written like an earlier one.
///
/// It finds the same pairs as the parser but doesn't check all of a value, so the parser may refuse a message that it
/// accepts. The bytes must stay valid and unchanged until the next `locate`.
@safe struct MessageLocator<Walk: MessageWalk>: ~Copyable {
    private(set) var input = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    private let pairs = UnsafeMutablePointer<LocatedPair>.allocate(capacity: maximumPairs)
    let memory = Walk.Memory()
    /// The number of pairs found by the last `locate`; 0 if it gave up or the message matches the template. In the latter
    /// case only the values that differ from message to message are known.
    private(set) var count = 0
    private(set) var isPlain = false
    /// The start of the bytes that a template contains.
    private var start: UInt32 = 0
    private var template = MessageTemplate()
    private var nextTemplate = MessageTemplate()
    private var templateLayout = EmitLayout()
    /// Emits that didn't match the template.
    private var mismatchCount = 0
    private(set) var matchesTemplate = false

    deinit {
        unsafe pairs.deallocate()
        memory.deallocate()
    }

    /// Locates the pairs of the dict in the bytes; false if it has to be parsed.
    mutating func locate(_ bytes: UnsafeRawBufferPointer) -> Bool {
        unsafe input = unsafe bytes
        count = 0
        matchesTemplate = false
        guard bytes.count <= Int(UInt32.max) else { return false }
        var walk = unsafe Walk(bytes, memory)
        guard walk.enter() else { return false }
        start = walk.position
        matchesTemplate = unsafe template.matches(&walk, pairs)
        if !matchesTemplate {
            walk = unsafe Walk(bytes, memory)
            guard walk.enter(), let found = unsafe walk.readPairs(pairs) else { return false }
            count = found
        }
        isPlain = walk.isPlain
        return true
    }

    /// Locates the values of an emit; nil if it has to be parsed.
    ///
    /// Only every eighth template is learnt, because learning each one would cost more than it saves if messages alternate
    /// between templates.
    @inline(__always) mutating func locateEmit(_ bytes: UnsafeRawBufferPointer) -> EmitLayout? {
        guard unsafe locate(bytes) else { return nil }
        if matchesTemplate { return templateLayout }
        guard let layout = EmitLayout(self) else { return nil }
        mismatchCount &+= 1
        guard mismatchCount & 7 == 1, isTrivial(except: Int(layout.data)) else { return layout }
        let memoCount = unsafe Walk.memoCount(at: pairs[Int(layout.data)].value.start, of: bytes, memory)
        if unsafe nextTemplate.learn(
            bytes, from: start, UnsafeBufferPointer(start: pairs, count: count), layout, memoCount)
        {
            matchesTemplate = true
            templateLayout = layout
            swap(&template, &nextTemplate)
        }
        return layout
    }

    /// True if all values but one are None, bools and valid texts, so that the parser could refuse only that one.
    func isTrivial(except value: Int) -> Bool {
        if matchesTemplate { return Walk.hasValidTexts || template.allTexts { unsafe isValid(pairs[$0].text) } }
        for index in 0..<count {
            let pair = unsafe pairs[index]
            guard isValid(pair.key) else { return false }
            guard index != value else { continue }
            switch pair.kind {
            case .none, .true, .false: continue
            case .text: guard isValid(pair.text) else { return false }
            case .list, .other: return false
            }
        }
        return true
    }

    /// Checks the bytes of a text, inlined for printable ASCII, which most texts are.
    @inline(__always) private func isValid(_ text: Extent) -> Bool {
        let bytes = unsafe text.bytes(of: input)
        return unsafe Walk.hasValidTexts || unescapedRunLength(bytes, from: 0) == bytes.count || WTF8.isValid(bytes)
    }

    subscript(index: Int) -> LocatedPair {
        precondition(index >= 0 && index < Self.maximumPairs)
        return unsafe pairs[index]
    }

    func keyText(at index: Int) -> UnsafeRawBufferPointer { unsafe self[index].key.bytes(of: input) }

    /// The content of a text; nil for other values.
    func text(at index: Int) -> UnsafeRawBufferPointer? {
        let pair = self[index]
        return unsafe pair.kind == .text ? pair.text.bytes(of: input) : nil
    }

    /// The namespace of an emit.
    func namespace(_ layout: EmitLayout) -> UnsafeRawBufferPointer? {
        unsafe matchesTemplate ? template.namespace : text(at: Int(layout.namespace))
    }

    static var maximumPairs: Int { 32 }
}
