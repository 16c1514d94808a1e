import Bytes

/// Locates the pairs of a message, and recognises messages that are written like one before.
protocol MessageLocator: ~Copyable {
    /// Number of pairs located.
    var count: Int { get }
    /// Whether the message has the template learnt last: the same keys with the same kinds of values at the same indices.
    var matchesTemplate: Bool { get }
    func keyText(at index: Int) -> UnsafeRawBufferPointer
    /// The content of a value that is a text, as it is in the payload; nil for other values.
    func text(at index: Int) -> UnsafeRawBufferPointer?
    func isNone(at index: Int) -> Bool
    /// Whether a message has no attachments if this is the value of its key `binary`.
    func excludesAttachments(at index: Int) -> Bool
    /// Learns the template of the message located last, if nothing but some texts and one value may differ.
    ///
    /// - Parameters:
    ///   - texts: indices of the pairs whose values are texts that may differ, a bit for each.
    ///   - value: index of the pair with any value.
    mutating func learnTemplate(texts: UInt32, value: Int)
}

/// The indices of an emit's values among the pairs of its message; -1 for a value that is None, or not there.
struct EmitLayout: BitwiseCopyable {
    private(set) var event: Int8 = -1
    private(set) var data: Int8 = -1
    private(set) var room: Int8 = -1
    private(set) var hostID: Int8 = -1
    private(set) var namespace: Int8 = -1
    private(set) var skipSID: Int8 = -1
    private(set) var hasBinary = false

    init() {}

    /// Nil for messages that aren't emits for the fast lane, and where a key is there twice.
    init?<Locator: MessageLocator & ~Copyable>(_ locator: borrowing Locator) {
        var seen: UInt16 = 0
        for index in 0..<locator.count {
            guard let key = Key(locator.keyText(at: index)) else { continue }
            guard seen & key.rawValue == 0 else { return nil }
            seen |= key.rawValue
            let position = Int8(truncatingIfNeeded: index)
            switch key {
            case .method: guard let method = locator.text(at: index), hasBytes(method, "emit") else { return nil }
            case .event:
                guard locator.text(at: index) != nil else { return nil }
                event = position
            case .data: data = position
            case .namespace:
                // A namespace without its slash is the sender's mistake.
                guard locator.text(at: index)?.first == UInt8(ascii: "/") else { return nil }
                namespace = position
            case .hostID:
                guard locator.text(at: index) != nil else { return nil }
                hostID = position
            case .room:
                if locator.text(at: index) != nil {
                    room = position
                } else if !locator.isNone(at: index) {
                    return nil
                }
            case .skipSID:
                if locator.text(at: index) != nil {
                    skipSID = position
                } else if !locator.isNone(at: index) {
                    return nil
                }
            case .callback: guard locator.isNone(at: index) else { return nil }
            case .binary:
                guard locator.excludesAttachments(at: index) else { return nil }
                hasBinary = true
            }
        }
        guard seen & Key.required == Key.required else { return nil }
    }

    /// The indices of the texts that differ from message to message, a bit for each.
    var texts: UInt32 {
        var texts: UInt32 = 0
        for index in [event, room, hostID, skipSID] where index >= 0 { texts |= 1 << UInt32(truncatingIfNeeded: index) }
        return texts
    }

    /// The keys of an emit, a bit for each.
    private enum Key: UInt16 {
        case method = 1, event = 2, data = 4, namespace = 8, hostID = 16, room = 32, skipSID = 64, callback = 128
        case binary = 256

        /// Senders of python-socketio's releases write more than these; a message without a room may mean it by another
        /// key.
        static let required: UInt16 = 63

        init?(_ name: UnsafeRawBufferPointer) {
            switch name.count {
            case 4 where hasBytes(name, "data"): self = .data
            case 4 where hasBytes(name, "room"): self = .room
            case 5 where hasBytes(name, "event"): self = .event
            case 6 where hasBytes(name, "method"): self = .method
            case 6 where hasBytes(name, "binary"): self = .binary
            case 7 where hasBytes(name, "host_id"): self = .hostID
            case 8 where hasBytes(name, "skip_sid"): self = .skipSID
            case 8 where hasBytes(name, "callback"): self = .callback
            case 9 where hasBytes(name, "namespace"): self = .namespace
            default: return nil
            }
        }
    }
}

/// Whether these are the bytes of a literal.
@inline(__always) func hasBytes(_ bytes: UnsafeRawBufferPointer, _ literal: StaticString) -> Bool {
    equalBytes(bytes, UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
}
