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
