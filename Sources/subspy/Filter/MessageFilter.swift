import JSONCodec
import PubSubMessages

/// Decides which messages are meant. What can't be read has no event, room or sender: only `--not-…` lets it pass.
struct MessageFilter {
    /// Texts of one field that are wanted, or not.
    private struct Choice {
        let wanted: [TextPattern]
        let unwanted: [TextPattern]

        var isEmpty: Bool { wanted.isEmpty && unwanted.isEmpty }

        func accepts(_ texts: [ByteString]) -> Bool {
            func isMatched(by patterns: [TextPattern]) -> Bool {
                patterns.contains { pattern in texts.contains { pattern.matches($0) } }
            }
            return (wanted.isEmpty || isMatched(by: wanted)) && (unwanted.isEmpty || !isMatched(by: unwanted))
        }
    }

    // Copied out of the options, whose property wrappers cost more than a message.
    private let event, room, namespace, method, host: Choice
    private let grep: [ContentPattern]
    private let sizes: ClosedRange<Int>
    private let share: Double?
    private let hasPatterns: Bool
    private let hidesCanaries: Bool

    init(_ options: FilterOptions) {
        event = Choice(wanted: options.event, unwanted: options.notEvent)
        room = Choice(wanted: options.room, unwanted: options.notRoom)
        namespace = Choice(wanted: options.namespace, unwanted: options.notNamespace)
        method = Choice(wanted: options.method, unwanted: options.notMethod)
        host = Choice(wanted: options.host, unwanted: options.notHost)
        hasPatterns = ![event, room, namespace, method, host].allSatisfy(\.isEmpty)
        grep = options.grep
        hidesCanaries = !options.canaries && options.method.isEmpty
        let minimum = options.minSize ?? 0
        sizes = minimum...max(minimum, options.maxSize ?? Int.max)
        share = options.sample
    }

    /// Whether a decision takes more than the payload's size.
    var needsMessage: Bool { hasPatterns || !grep.isEmpty }

    /// Whether a payload may be meant, by its size and its first bytes.
    func mayAccept(_ payload: UnsafeRawBufferPointer) -> Bool {
        sizes.contains(payload.count) && !(hidesCanaries && PubSubMessageEncoder.isCanary(payload))
    }

    private func accepts(_ summary: MessageSummary) -> Bool {
        guard hasPatterns else { return true }
        func texts(_ text: ByteString?) -> [ByteString] { text.map { [$0] } ?? [] }
        return event.accepts(texts(summary.event)) && namespace.accepts(texts(summary.namespace))
            && method.accepts(texts(summary.method)) && host.accepts(texts(summary.hostID))
            && room.accepts(summary.rooms)
    }

    /// Everything but the lot.
    ///
    /// - Parameter renderer: used where a decision takes the message's text.
    func accepts(
        _ payload: UnsafeRawBufferPointer, _ inspection: MessageInspector.Inspection, of inspector: MessageInspector,
        _ renderer: inout MessageRenderer
    ) -> Bool {
        guard mayAccept(payload), accepts(inspection.summary) else { return false }
        guard !grep.isEmpty else { return true }
        renderer.render(payload, inspection.form, of: inspector)
        // As it is printed, or in its bytes.
        return renderer.withBytes { text in
            grep.contains { $0.isFound(in: text) || $0.isFound(in: payload) }
        }
    }

    /// The last question: chosen from those that are meant.
    func drawsLot() -> Bool {
        share.map { Double.random(in: 0..<1) < $0 } ?? true
    }
}
