/// A scan of a message's keys that tells messages spelled like one before.
protocol ScannedDocument: MessageDocument, ~Copyable {
    /// Pairs found.
    var count: Int { get }
    /// Whether the last message has the form that was kept, with its pairs at the same places.
    var isRepeated: Bool { get }
    func field(at place: Int) -> MessageKey?
    func value(at place: Int) -> Node
    /// Whether a message has no attachments, by the value of its `binary`.
    func isUsual(_ binary: Node?) -> Bool
    mutating func keepForm(texts: UInt32, value: Int)
}

/// Where the values of an emit stand among its pairs that is for one room, with nobody skipped and no answer wanted: such are
/// most, and they differ in event, data, room and sender only.
struct UsualEmit {
    var event = -1
    var data = -1
    var room = -1
    var hostID = -1
    var namespace = -1
    var hasBinary = false
    private var hasMethod = false

    /// Nil for other messages, and where a key is there twice.
    init?<Document: ScannedDocument & ~Copyable>(_ document: borrowing Document) {
        for place in 0..<document.count {
            let value = document.value(at: place)
            switch document.field(at: place) {
            case .method:
                guard !hasMethod, document.isText(value, equalTo: Route.emit) else { return nil }
                hasMethod = true
            case .event: guard Self.isText(value, of: document, place, &event) else { return nil }
            case .room: guard Self.isText(value, of: document, place, &room) else { return nil }
            case .hostID: guard Self.isText(value, of: document, place, &hostID) else { return nil }
            case .namespace: guard Self.isText(value, of: document, place, &namespace) else { return nil }
            case .data:
                guard data < 0 else { return nil }
                data = place
            case .binary:
                guard !hasBinary, document.isUsual(value) else { return nil }
                hasBinary = true
            case .skipSID, .callback: guard document.isNone(value) else { return nil }
            case .sid, .id, .args, nil: continue
            }
        }
        guard hasMethod, event >= 0, data >= 0, room >= 0, hostID >= 0, namespace >= 0 else { return nil }
    }

    private static func isText<Document: ScannedDocument & ~Copyable>(
        _ value: Document.Node, of document: borrowing Document, _ place: Int, _ known: inout Int
    ) -> Bool {
        guard known < 0, document.plainText(value) != nil else { return false }
        known = place
        return true
    }

    /// The places of the texts that may differ, a bit for each.
    var texts: UInt32 { [event, room, hostID].reduce(0) { $0 | 1 << UInt32(truncatingIfNeeded: $1) } }
}
