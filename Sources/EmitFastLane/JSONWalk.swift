import Bytes
import Glibc
import JSONCodec

typealias JSONLocator = MessageLocator<JSONWalk>

/// Walks over a JSON object.
///
/// It leaves to the parser: texts in other encodings than UTF-8, keys with escapes, and negative numbers and `NaN` as
/// values of the outermost object.
@safe struct JSONWalk: MessageWalk {
    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    struct Memory: WalkMemory {
        func deallocate() {}
    }

    static var hasValidTexts: Bool { true }
    static var isJSON: Bool { true }
    var position: UInt32 { UInt32(truncatingIfNeeded: at) }
    var isAtEnd: Bool { unsafe at == bytes.count }
    var isPlain: Bool { true }

    init(_ bytes: UnsafeRawBufferPointer, _: Memory) { unsafe self.bytes = unsafe bytes }

    @inline(__always) func enter() -> Bool { true }

    mutating func readPairs(_ pairs: UnsafeMutablePointer<LocatedPair>) -> Int? {
        guard take(UInt8(ascii: "{")) else { return nil }
        var count = 0
        repeat {
            skipWhitespace()
            guard count < JSONLocator.maximumPairs, let key = passText(), take(UInt8(ascii: "\"")) else { return nil }
            skipWhitespace()
            guard take(UInt8(ascii: ":")) else { return nil }
            skipWhitespace()
            var pair = LocatedPair(key: key, value: Extent())
            guard unsafe passValue(of: &pair, 0, before: bytes) else { return nil }
            skipWhitespace()
            unsafe pairs[count] = pair
            count &+= 1
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { return nil }
        skipWhitespace()
        return isAtEnd ? count : nil
    }

    @inline(__always) mutating func pass(_ other: UnsafeRawBufferPointer) -> Bool {
        guard let base = unsafe bytes.baseAddress, let otherBase = other.baseAddress,
            unsafe bytes.count &- at >= other.count,
            unsafe memcmp(base + at, otherBase, other.count) == 0
        else { return false }
        at &+= other.count
        return true
    }

    @inline(__always) mutating func passText() -> Extent? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        let start = position
        unsafe at &+= unescapedRunLength(bytes, from: at)
        return Extent(start: start, end: position)
    }

    static func memoCount(at _: UInt32, of _: UnsafeRawBufferPointer, _: Memory) -> Int { 0 }

    @inline(__always)
    mutating func passValue(of pair: inout LocatedPair, _: Int, before _: UnsafeRawBufferPointer) -> Bool {
        guard unsafe at < bytes.count else { return false }
        let start = position
        let kind: LocatedPair.Kind
        let isPassed: Bool
        switch unsafe bytes[at] {
        case UInt8(ascii: "\""):
            if let text = passText(), take(UInt8(ascii: "\"")) {
                kind = .text
                pair.text = text
                isPassed = true
            } else {
                kind = .other
                at = Int(start)
                isPassed = skipText()
            }
        case UInt8(ascii: "{"):
            kind = .other
            isPassed = skipContainer()
        case UInt8(ascii: "["):
            kind = .list
            isPassed = skipContainer()
        case UInt8(ascii: "n"):
            kind = .none
            isPassed = skipWord("null")
        case UInt8(ascii: "t"):
            kind = .true
            isPassed = skipWord("true")
        case UInt8(ascii: "f"):
            kind = .false
            isPassed = skipWord("false")
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            kind = .other
            while unsafe at < bytes.count, unsafe Self.isOfNumber(bytes[at]) { at &+= 1 }
            isPassed = true
        default: return false
        }
        pair.kind = kind
        pair.value = Extent(start: start, end: position)
        return isPassed
    }
}

// MARK: Steps

extension JSONWalk {
    @inline(__always) private mutating func take(_ byte: UInt8) -> Bool {
        guard unsafe at < bytes.count, unsafe bytes[at] == byte else { return false }
        at &+= 1
        return true
    }

    @inline(__always) private mutating func skipWhitespace() {
        while unsafe at < bytes.count {
            let byte = unsafe bytes[at]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            at &+= 1
        }
    }

    private static func isOfNumber(_ byte: UInt8) -> Bool {
        byte &- UInt8(ascii: "0") < 10 || byte == UInt8(ascii: ".") || byte | 0x20 == UInt8(ascii: "e")
            || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
    }

    private mutating func skipWord(_ word: StaticString) -> Bool {
        unsafe pass(UnsafeRawBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
    }

    /// Passes a text, whatever it contains, up to the first quote with an even number of backslashes before it.
    private mutating func skipText() -> Bool {
        guard let base = unsafe bytes.baseAddress else { return false }
        at &+= 1
        let start = at
        while unsafe at < bytes.count, let found = unsafe memchr(base + at, 0x22, bytes.count &- at) {
            let quote = unsafe UnsafeRawPointer(found) - base
            at = quote &+ 1
            var escapes = quote
            while escapes > start, unsafe bytes[escapes &- 1] == UInt8(ascii: "\\") { escapes &-= 1 }
            if (quote &- escapes) & 1 == 0 { return true }
        }
        return false
    }

    /// Passes an array or object with everything in it.
    private mutating func skipContainer() -> Bool {
        var depth = 0
        while unsafe at < bytes.count {
            switch unsafe bytes[at] {
            case UInt8(ascii: "\""):
                guard skipText() else { return false }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth &+= 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth &-= 1
                if depth == 0 {
                    at &+= 1
                    return true
                }
            default:
                at &+= 1
                skipOther()
                continue
            }
            at &+= 1
        }
        return false
    }

    /// Passes bytes that are neither quotes nor brackets, eight at a time. It may stop before such a byte.
    @inline(__always) private mutating func skipOther() {
        guard let base = unsafe bytes.baseAddress else { return }
        let ones: UInt64 = 0x0101_0101_0101_0101
        while unsafe bytes.count &- at >= 8 {
            let word = unsafe UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            let quote = word ^ (ones &* 0x22)
            // The four brackets, and four more bytes, differ in these bits only.
            let bracket = (word & (ones &* 0xD9)) ^ (ones &* 0x59)
            let found = ((quote &- ones) & ~quote | (bracket &- ones) & ~bracket) & (ones &* 0x80)
            if found != 0 {
                at &+= found.trailingZeroBitCount / 8
                return
            }
            at &+= 8
        }
    }
}
