import ArgumentParser
import Bytes
import JSONCodec
import PickleCodec

/// Keys whose values are hidden (`--redact`): passwords, tokens, names of people.
struct Redaction {
    /// A key from the command line: a pattern, which also hides the key that is spelled exactly like it.
    struct Key {
        private let literal: ByteString
        private let pattern: TextPattern

        init(argument: String) throws {
            guard !argument.isEmpty else { throw ValidationError("--redact must not be empty") }
            literal = ByteString(argument)
            pattern = try TextPattern(argument: argument)
        }

        fileprivate func matches(_ key: ByteString) -> Bool { key == literal || pattern.matches(key) }
    }

    private let keys: [Key]

    /// Hides nothing.
    static var none: Redaction { Redaction([]) }
    init(_ keys: [Key]) { self.keys = keys }

    var isEmpty: Bool { keys.isEmpty }

    func hides(_ key: ByteString) -> Bool { keys.contains { $0.matches(key) } }

    /// True when the value of a key is to be hidden; keys that are bytes count as texts.
    func hides(_ key: PickleNode, of document: borrowing PickleDocument) -> Bool {
        guard !isEmpty else { return false }
        var content = key
        if document.kind(of: key) == .object, case .node(let text)? = document.builtinContent(of: key) {
            content = text
        }
        guard let bytes = unsafe document.bytes(of: content) else { return false }
        return unsafe hides(ByteString(bytes))
    }

    func hides(_ key: StaticString) -> Bool { !isEmpty && hides(ByteString(stringLiteral: key)) }
}
