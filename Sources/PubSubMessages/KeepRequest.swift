import Bytes
import JSONCodec

/// A message's own word on whether it is kept as the last value of its room: the key `keep`.
///
/// | `keep` | case |
/// |---|---|
/// | missing or null | none, so that the server's rules decide |
/// | false | `no` |
/// | true | `yes` |
/// | a number of seconds, above 0 | `forSeconds`, at most a year |
package enum KeepRequest: Hashable, Sendable {
    case no
    /// As long as the server keeps a value whose message names no time.
    case yes
    case forSeconds(Double)

    /// Longer times are taken for a year.
    package static let maximumSeconds: Double = 365 * 86_400
    /// The longest `key` in bytes, the same as of a room's name.
    package static let maximumKeyBytes = 1024

    /// Nil for a number that is no time: 0, below 0, not a number or infinite.
    package init?(seconds: Double) {
        guard seconds > 0, seconds.isFinite else { return nil }
        self = .forSeconds(min(seconds, Self.maximumSeconds))
    }
}

extension JSONDocument {
    /// The value of `keep` in a message from elsewhere than the channel; nil for null.
    package func readKeep(_ node: Node) throws(SenderMistake) -> KeepRequest? { try keepRequest(node) }

    /// The value of `key` likewise; nil for null and for an empty text.
    package func readKey(_ node: Node) throws(SenderMistake) -> ByteString? { try valueKey(node) }
}

extension MessageDocument where Self: ~Copyable {
    /// The value of `keep`; nil for None.
    ///
    /// - Throws: the mistake in a value that is none of the above. A bool is no number, although it is one in Python.
    func keepRequest(_ node: Node) throws(SenderMistake) -> KeepRequest? {
        var seconds: Double?
        switch shape(of: node) {
        case .none: return nil
        case .bool: if let bool = bool(node) { return bool ? .yes : .no }
        case .integer: seconds = int64(node).map { Double($0) }
        case .float: seconds = double(node)
        case .text, .list, .tuple, .dictionary, .bytes, .other: break
        }
        guard let seconds, let request = KeepRequest(seconds: seconds) else { throw .keepNotTime }
        return request
    }

    /// The value of `key`; nil for None and for an empty text.
    ///
    /// - Throws: the mistake in another value than a text, or in one that is too long.
    func valueKey(_ node: Node) throws(SenderMistake) -> ByteString? {
        guard let text = text(node), text.count <= KeepRequest.maximumKeyBytes else {
            guard isNone(node) else { throw .keyNotText }
            return nil
        }
        return text.isEmpty ? nil : text
    }
}
