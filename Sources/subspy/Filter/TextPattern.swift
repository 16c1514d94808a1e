import ArgumentParser
import Bytes

/// A pattern for texts: a glob, or a regular expression between slashes.
enum TextPattern {
    case glob(GlobPattern)
    case regex(Regex<AnyRegexOutput>)

    /// Reads an option's value: `/…/` is a regular expression, everything else a glob.
    init(argument: String) throws {
        if let regex = try Self.regex(argument) {
            self = .regex(regex)
        } else {
            self = .glob(GlobPattern(argument))
        }
    }

    /// The regular expression between slashes; nil for other texts.
    static func regex(_ argument: String) throws -> Regex<AnyRegexOutput>? {
        guard argument.utf8.count >= 3, argument.hasPrefix("/"), argument.hasSuffix("/") else { return nil }
        do {
            return try Regex(String(argument.dropFirst().dropLast())).matchingSemantics(.unicodeScalar)
        } catch {
            throw ValidationError("it is no regular expression: \(error)")
        }
    }

    /// A glob must match the whole text, a regular expression a part of it.
    func matches(_ text: ByteString) -> Bool {
        switch self {
        case .glob(let glob): unsafe text.withUnsafeBytes { unsafe glob.matches($0) }
        case .regex(let regex): text.text.contains(regex)
        }
    }
}

/// A pattern for parts of texts: some bytes, or a regular expression between slashes.
enum ContentPattern {
    case bytes([UInt8])
    case regex(Regex<AnyRegexOutput>)

    init(argument: String) throws {
        if let regex = try TextPattern.regex(argument) {
            self = .regex(regex)
        } else {
            self = .bytes(Array(argument.utf8))
        }
    }

    func isFound(in text: UnsafeRawBufferPointer) -> Bool {
        switch self {
        case .bytes(let bytes): unsafe Self.find(bytes, in: text)
        case .regex(let regex): unsafe String(decoding: text, as: UTF8.self).contains(regex)
        }
    }

    private static func find(_ bytes: [UInt8], in text: UnsafeRawBufferPointer) -> Bool {
        guard let first = bytes.first else { return true }
        guard bytes.count <= text.count else { return false }
        for start in 0...(text.count - bytes.count) where unsafe text[start] == first {
            if unsafe text[start..<start + bytes.count].elementsEqual(bytes) { return true }
        }
        return false
    }
}

/// A shell pattern over bytes: `*`, `?` (one character of UTF-8), `[a-z]`, `[!a-z]`, and `\` before a character that means
/// itself.
struct GlobPattern: Hashable, Sendable {
    private enum Part: Hashable {
        case byte(UInt8)
        case anyCharacter, anything
        case set(ranges: [ClosedRange<UInt8>], isNegated: Bool)
    }

    private let parts: [Part]

    init(_ text: String) {
        var parts: [Part] = []
        var rest = ArraySlice(text.utf8)
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "*"): if parts.last != .anything { parts.append(.anything) }
            case UInt8(ascii: "?"): parts.append(.anyCharacter)
            case UInt8(ascii: "\\"): parts.append(.byte(rest.popFirst() ?? byte))
            case UInt8(ascii: "["):
                // A bracket that nothing closes is itself.
                if let set = Self.set(&rest) { parts.append(set) } else { parts.append(.byte(byte)) }
            default: parts.append(.byte(byte))
            }
        }
        self.parts = parts
    }

    private static func set(_ rest: inout ArraySlice<UInt8>) -> Part? {
        var body = rest
        let isNegated = body.first == UInt8(ascii: "!") || body.first == UInt8(ascii: "^")
        if isNegated { body.removeFirst() }
        var ranges: [ClosedRange<UInt8>] = []
        while let low = body.popFirst() {
            if low == UInt8(ascii: "]"), !ranges.isEmpty {
                rest = body
                return .set(ranges: ranges, isNegated: isNegated)
            }
            if body.first == UInt8(ascii: "-"), let high = body.dropFirst().first, high != UInt8(ascii: "]"),
                high >= low
            {
                ranges.append(low...high)
                body = body.dropFirst(2)
            } else {
                ranges.append(low...low)
            }
        }
        return nil
    }

    /// Compares the pattern with the whole text. At worst the time is proportional to the product of both lengths.
    func matches(_ text: UnsafeRawBufferPointer) -> Bool {
        var (part, index) = (0, 0)
        // The place to try again from when the parts after the last `*` don't fit: one byte further.
        var retry: (part: Int, index: Int)?
        while part < parts.count || index < text.count {
            if part < parts.count, parts[part] == .anything {
                retry = (part, index)
                part += 1
            } else if part < parts.count, let length = unsafe length(of: parts[part], in: text, at: index) {
                part += 1
                index += length
            } else if let (retryPart, retryIndex) = retry, retryIndex < text.count {
                retry = (retryPart, retryIndex + 1)
                (part, index) = (retryPart + 1, retryIndex + 1)
            } else {
                return false
            }
        }
        return true
    }

    /// Bytes that a part takes at a place, nil if it doesn't fit.
    private func length(of part: Part, in text: UnsafeRawBufferPointer, at index: Int) -> Int? {
        guard index < text.count else { return nil }
        switch part {
        case .byte(let byte): return unsafe text[index] == byte ? 1 : nil
        case .set(let ranges, let isNegated):
            return ranges.contains { unsafe $0.contains(text[index]) } != isNegated ? 1 : nil
        case .anyCharacter:
            var end = index + 1
            while end < text.count, unsafe text[end] & 0xC0 == 0x80 { end += 1 }
            return end - index
        case .anything: return nil
        }
    }
}
