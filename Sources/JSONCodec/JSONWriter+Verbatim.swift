import Bytes

extension JSONWriter {
    /// Appends a value as `JSONDocument.write` prints it, but straight from its text, of which only the white space between
    /// tokens is left out.
    ///
    /// - Returns: false, with nothing appended, where the full parse is needed: the text is no JSON, a number or string is
    ///   not spelled as `json.dumps` would, an object has the same key twice, or there is more nesting or there are more
    ///   keys than most messages have.
    package mutating func appendVerbatim(_ text: UnsafeRawBufferPointer, limits: JSONLimits) -> Bool {
        // Each value takes a byte at least, so none needs to be counted.
        guard text.count < min(limits.maximumNodes, Int(Int32.max)) else { return false }
        let start = count
        reserve(text.count)
        let isCopied = unsafe withUnsafeTemporaryAllocation(
            of: VerbatimCopy.Key.self, capacity: VerbatimCopy.maximumKeys
        ) {
            keys in
            unsafe withUnsafeTemporaryAllocation(of: Int32.self, capacity: VerbatimCopy.maximumDepth) { open in
                var copy = unsafe VerbatimCopy(text: text, limits: limits, keys: keys, open: open)
                return copy.copyValue(to: &self)
            }
        }
        if !isCopied { truncate(to: start) }
        return isCopied
    }
}

/// Copies one value, token by token.
@safe private struct VerbatimCopy {
    struct Key {
        let start: Int32
        let count: Int32
    }

    /// Keys of all open objects together.
    static let maximumKeys = 128
    /// Comparing a few keys with each other is cheaper than hashing them.
    private static let maximumKeysOfObject = 16
    static let maximumDepth = 32

    private var scanner: JSONScanner
    /// Where the bytes begin that have been read and not copied.
    private var unwritten = 0
    private let keys: UnsafeMutableBufferPointer<Key>
    private var keyCount = 0
    /// Of each open object the number of keys before its own; -1 for an array.
    private let open: UnsafeMutableBufferPointer<Int32>
    private var depth = 0
    private let maximumDepth: Int

    init(
        text: UnsafeRawBufferPointer, limits: JSONLimits, keys: UnsafeMutableBufferPointer<Key>,
        open: UnsafeMutableBufferPointer<Int32>
    ) {
        scanner = unsafe JSONScanner(text: text, maximumIntegerCharacters: limits.maximumIntegerDigits)
        unsafe self.keys = unsafe keys
        unsafe self.open = unsafe open
        // The value is part of an object.
        maximumDepth = min(Self.maximumDepth, limits.maximumDepth - 1)
    }

    mutating func copyValue(to writer: inout JSONWriter) -> Bool {
        while true {
            skipSpace(&writer)
            guard let token = try? scanner.scanValue(index: 0) else { return false }
            switch token.kind {
            case .array, .object:
                let isObject = token.kind == .object
                guard depth < maximumDepth else { return false }
                unsafe open[depth] = isObject ? Int32(truncatingIfNeeded: keyCount) : -1
                depth &+= 1
                skipSpace(&writer)
                if scanner.peek() == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) { break }
                if isObject, !passKey(&writer) { return false }
                continue
            default: guard token.flags.contains(.isCanonical) else { return false }
            }
            // The value is complete, or its closing bracket is next.
            while true {
                skipSpace(&writer)
                guard depth > 0 else {
                    copy(to: &writer)
                    return unsafe scanner.index == scanner.text.count
                }
                let isObject = unsafe open[depth &- 1] >= 0
                let next = scanner.peek()
                if next == UInt8(ascii: ",") {
                    // Not behind an opening bracket, which is followed by a value, a key or its like.
                    scanner.index &+= 1
                    if isObject, !passKey(&writer) { return false }
                    break
                }
                guard next == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { return false }
                scanner.index &+= 1
                if isObject { keyCount = unsafe Int(open[depth &- 1]) }
                depth &-= 1
            }
        }
    }

    /// Passes a key that its object doesn't have yet, and the colon.
    @inline(__always) private mutating func passKey(_ writer: inout JSONWriter) -> Bool {
        skipSpace(&writer)
        guard scanner.peek() == UInt8(ascii: "\""), let token = try? scanner.scanString(index: 0),
            token.flags.contains(.isCanonical), keyCount < Self.maximumKeys
        else { return false }
        let first = unsafe Int(open[depth &- 1])
        guard keyCount &- first < Self.maximumKeysOfObject else { return false }
        for place in first..<keyCount where unsafe keys[place].count == Int32(truncatingIfNeeded: token.length) {
            let (other, this) = unsafe (Int(keys[place].start), Int(token.offset))
            let count = Int(token.length)
            if unsafe equalBytes(
                UnsafeRawBufferPointer(rebasing: scanner.text[other..<other &+ count]),
                UnsafeRawBufferPointer(rebasing: scanner.text[this..<this &+ count]))
            {
                return false
            }
        }
        unsafe keys[keyCount] = Key(
            start: Int32(truncatingIfNeeded: token.offset), count: Int32(truncatingIfNeeded: token.length))
        keyCount &+= 1
        skipSpace(&writer)
        guard scanner.peek() == UInt8(ascii: ":") else { return false }
        scanner.index &+= 1
        return true
    }

    @inline(__always) private mutating func skipSpace(_ writer: inout JSONWriter) {
        let byte = scanner.peek()
        guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
        copy(to: &writer)
        scanner.skipWhitespace()
        unwritten = scanner.index
    }

    private mutating func copy(to writer: inout JSONWriter) {
        unsafe writer.append(raw: UnsafeRawBufferPointer(rebasing: scanner.text[unwritten..<scanner.index]))
        unwritten = scanner.index
    }
}
