import Bytes
import Glibc

extension JSONLocator {
    /// Every read is within the bytes.
    struct Walk {
        let bytes: UnsafeRawBufferPointer
        var at = 0

        init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

        @inline(__always) mutating func take(_ byte: UInt8) -> Bool {
            guard at < bytes.count, bytes[at] == byte else { return false }
            at &+= 1
            return true
        }

        @inline(__always) mutating func skipWhitespace() {
            while at < bytes.count, Self.isSpace(bytes[at]) { at &+= 1 }
        }

        @inline(__always) mutating func value() -> Node? {
            guard at < bytes.count else { return nil }
            let start = at
            switch bytes[at] {
            case UInt8(ascii: "\""):
                guard let isUnescaped = skipText() else { return nil }
                return Node(kind: isUnescaped ? .unescapedText : .otherText, start: start &+ 1, end: at &- 1)
            case UInt8(ascii: "{"): return skipContainer() ? Node(kind: .object, start: start, end: at) : nil
            case UInt8(ascii: "["): return skipContainer() ? Node(kind: .array, start: start, end: at) : nil
            case UInt8(ascii: "n"): return word("null") ? Node(kind: .null, start: start, end: at) : nil
            case UInt8(ascii: "t"): return word("true") ? Node(kind: .bool, start: start, end: at) : nil
            case UInt8(ascii: "f"): return word("false") ? Node(kind: .bool, start: start, end: at) : nil
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                while at < bytes.count, Self.isOfNumber(bytes[at]) { at &+= 1 }
                return Node(kind: .number, start: start, end: at)
            default: return nil
            }
        }

        private static func isSpace(_ byte: UInt8) -> Bool {
            byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
        }

        private static func isOfNumber(_ byte: UInt8) -> Bool {
            byte &- UInt8(ascii: "0") < 10 || byte == UInt8(ascii: ".") || byte | 0x20 == UInt8(ascii: "e")
                || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
        }

        private mutating func word(_ word: StaticString) -> Bool {
            guard word.utf8CodeUnitCount <= bytes.count &- at else { return false }
            for index in 0..<word.utf8CodeUnitCount where bytes[at &+ index] != word.utf8Start[index] { return false }
            at &+= word.utf8CodeUnitCount
            return true
        }

        /// Passes a text; whether it is plain, or nil when it has no end.
        @inline(__always) private mutating func skipText() -> Bool? {
            var isUnescaped = true
            at &+= 1
            while true {
                at &+= unescapedRunLength(bytes, from: at)
                guard at < bytes.count else { return nil }
                let byte = bytes[at]
                at &+= byte == UInt8(ascii: "\\") ? 2 : 1
                if byte == UInt8(ascii: "\"") { return isUnescaped }
                isUnescaped = false
            }
        }

        /// Passes a text, whatever is in it, up to the first quote with an even number of backslashes before it.
        private mutating func skipToQuote() -> Bool {
            guard let base = bytes.baseAddress else { return false }
            at &+= 1
            let start = at
            while at < bytes.count, let found = memchr(base + at, 0x22, bytes.count &- at) {
                let quote = UnsafeRawPointer(found) - base
                at = quote &+ 1
                var escapes = quote
                while escapes > start, bytes[escapes &- 1] == UInt8(ascii: "\\") { escapes &-= 1 }
                if (quote &- escapes) & 1 == 0 { return true }
            }
            return false
        }

        /// Passes an array or object with what is in it.
        private mutating func skipContainer() -> Bool {
            var depth = 0
            while at < bytes.count {
                switch bytes[at] {
                case UInt8(ascii: "\""):
                    guard skipToQuote() else { return false }
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

        /// Passes what is neither quote nor bracket, eight bytes at a time; some of it may be left.
        @inline(__always) private mutating func skipOther() {
            guard let base = bytes.baseAddress else { return }
            let ones: UInt64 = 0x0101_0101_0101_0101
            while bytes.count &- at >= 8 {
                let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                let quote = word ^ (ones &* 0x22)
                // The four brackets, and four more, differ in these bits only.
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
}
