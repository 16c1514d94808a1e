import JSONCodec
import PubSubMessages

/// Decides which messages are meant. What can't be read has no event, room or sender: only `--not-…` lets it pass.
struct MessageFilter {
    private let options: FilterOptions
    private let hasPatterns: Bool

    init(_ options: FilterOptions) {
        self.options = options
        hasPatterns = ![
            options.event, options.room, options.namespace, options.method, options.host, options.notEvent,
            options.notRoom, options.notNamespace, options.notMethod, options.notHost,
        ].allSatisfy(\.isEmpty)
    }

    /// Whether a decision takes more than the payload's size.
    var needsMessage: Bool { hasPatterns || needsText }

    /// Whether a decision takes the message's text too.
    var needsText: Bool { !options.grep.isEmpty }

    /// Whether a payload of this size may be meant.
    func accepts(byteCount: Int) -> Bool {
        if let minimum = options.minSize, byteCount < minimum { return false }
        if let maximum = options.maxSize, byteCount > maximum { return false }
        return true
    }

    func accepts(_ summary: MessageSummary) -> Bool {
        guard hasPatterns else { return true }
        return Self.accepts(summary.event, options.event, options.notEvent)
            && Self.accepts(summary.namespace, options.namespace, options.notNamespace)
            && Self.accepts(summary.method, options.method, options.notMethod)
            && Self.accepts(summary.hostID, options.host, options.notHost)
            && Self.accepts(anyOf: summary.rooms, options.room, options.notRoom)
    }

    /// Whether the message holds one of the wanted texts, as it is printed or in its bytes.
    func accepts(text: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer) -> Bool {
        options.grep.isEmpty || options.grep.contains { $0.isFound(in: text) || $0.isFound(in: payload) }
    }

    /// The last question: chosen from those that are meant.
    func drawsLot() -> Bool {
        options.sample.map { Double.random(in: 0..<1) < $0 } ?? true
    }

    private static func accepts(_ text: ByteString?, _ wanted: [TextPattern], _ unwanted: [TextPattern]) -> Bool {
        accepts(anyOf: text.map { [$0] } ?? [], wanted, unwanted)
    }

    private static func accepts(anyOf texts: [ByteString], _ wanted: [TextPattern], _ unwanted: [TextPattern]) -> Bool {
        func isMatched(by patterns: [TextPattern]) -> Bool {
            patterns.contains { pattern in texts.contains { pattern.matches($0) } }
        }
        return (wanted.isEmpty || isMatched(by: wanted)) && (unwanted.isEmpty || !isMatched(by: unwanted))
    }
}
