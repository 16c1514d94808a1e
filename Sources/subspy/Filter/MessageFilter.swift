import Bytes
import PubSubMessages

/// Reads messages and decides which ones pass. A payload that can't be read has no event, room or sender: it passes only
/// `--not-…`.
final class MessageFilter {
    /// The patterns for one field.
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

    // Copied from the options: their property wrappers take more time than a message.
    private let event, room, namespace, method, host, key: Choice
    private let grep: [ContentPattern]
    private let sizes: ClosedRange<Int>
    private let share: Double?
    private let hasPatterns: Bool
    private let hidesCanaries: Bool
    let reader = MessageReader()
    /// Renders messages for `--grep`.
    private var renderer: MessageRenderer

    init(_ options: FilterOptions) {
        event = Choice(wanted: options.event, unwanted: options.notEvent)
        room = Choice(wanted: options.room, unwanted: options.notRoom)
        namespace = Choice(wanted: options.namespace, unwanted: options.notNamespace)
        method = Choice(wanted: options.method, unwanted: options.notMethod)
        host = Choice(wanted: options.host, unwanted: options.notHost)
        key = Choice(wanted: options.key, unwanted: options.notKey)
        hasPatterns = ![event, room, namespace, method, host, key].allSatisfy(\.isEmpty)
        grep = options.grep
        hidesCanaries = !options.canaries && options.method.isEmpty
        let minimum = options.minSize ?? 0
        sizes = minimum...max(minimum, options.maxSize ?? Int.max)
        share = options.sample
        renderer = MessageRenderer(reader)
    }

    /// Reads a payload; nil when the filters exclude it.
    func inspect(_ payload: UnsafeRawBufferPointer) -> MessageInspector.Inspection? {
        guard unsafe mayAccept(payload) else { return nil }
        let inspection = unsafe reader.inspect(payload)
        return unsafe accepts(payload, inspection) ? inspection : nil
    }

    /// True when the filters accept a payload, which is read only if they need its content.
    func accepts(_ payload: UnsafeRawBufferPointer) -> Bool {
        unsafe mayAccept(payload) && (!hasPatterns && grep.isEmpty || accepts(payload, reader.inspect(payload)))
    }

    /// By the payload's size and its first bytes.
    private func mayAccept(_ payload: UnsafeRawBufferPointer) -> Bool {
        unsafe sizes.contains(payload.count)
            && !(hidesCanaries
                && PubSubMessageEncoder.isBetweenServers(payload.assumingMemoryBound(to: UInt8.self).span))
    }

    private func accepts(_ summary: MessageSummary) -> Bool {
        guard hasPatterns else { return true }
        func texts(_ text: ByteString?) -> [ByteString] { text.map { [$0] } ?? [] }
        return event.accepts(texts(summary.event)) && namespace.accepts(texts(summary.namespace))
            && method.accepts(texts(summary.method)) && host.accepts(texts(summary.hostID))
            && room.accepts(summary.rooms) && key.accepts(texts(summary.key))
    }

    private func accepts(_ payload: UnsafeRawBufferPointer, _ inspection: MessageInspector.Inspection) -> Bool {
        guard accepts(inspection.summary) else { return false }
        guard !grep.isEmpty else { return true }
        unsafe renderer.render(payload)
        // The text may stand in the printed message, or in its bytes.
        return unsafe renderer.withBytes { text in
            grep.contains { unsafe $0.isFound(in: text) || $0.isFound(in: payload) }
        }
    }

    /// Chooses at random from the messages that pass, as `--sample` says.
    func isSampled() -> Bool {
        share.map { Double.random(in: 0..<1) < $0 } ?? true
    }
}
