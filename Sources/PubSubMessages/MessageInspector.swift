import Bytes
import JSONCodec
import PickleCodec

/// Describes whole payloads of the channel, for tools that print messages rather than deliver them.
///
/// It reads with the bridge's decoder, and so sees the same as the bridge. It drops nothing: a payload that receivers would
/// refuse is shown as far as it can be read.
package final class MessageInspector {
    private let decoder: PubSubMessageDecoder

    /// The format of a payload.
    package enum Format: Sendable {
        case pickle
        case json
        /// Neither; the error has the offset and a hint.
        case undecodable(PubSubMessageError)
    }

    /// The description of one payload. The documents' nodes are valid until the next `inspect`.
    package struct Inspection: Sendable {
        package let format: Format
        /// The release and format of its sender.
        package let wireFormat: WireFormat
        package let summary: MessageSummary
        /// The reason why receivers drop or ignore a readable payload; nil for a good message.
        package let dropReason: String?
        /// The mistakes in a message that ws-emit delivers all the same.
        package let mistakes: SenderMistakes
    }

    /// - Parameter limits: the limits of one payload.
    package init(limits: PubSubMessageLimits = .init()) {
        // No sender has this id, so no message counts as our own.
        decoder = PubSubMessageDecoder(hostID: "", limits: limits)
    }

    /// Reads a payload, whose bytes must stay valid until the next call, because the documents refer to them. So they are no
    /// span, which ends with the call.
    package func inspect(_ payload: UnsafeRawBufferPointer) -> Inspection {
        let isJSON = unsafe payload.first.map { PubSubMessageDecoder.isJSON($0) } ?? false
        var dialect: Dialect? = isJSON ? nil : .pickle
        var dropReason: String?
        do throws(PubSubMessageError) {
            switch try unsafe decoder.decodeWhole(payload, includingOwn: true) {
            case .emit(let emit): dialect = emit.dialect
            case .ignored(let reason) where reason != .callbackOfAnotherHost && reason != .canaryOfAnotherHost:
                dropReason = reason.rawValue
            case .ignored, .emitForNobody, .callback, .disconnect, .enterRoom, .leaveRoom, .closeRoom: break
            case .canary, .keptRequest, .keptStored: break
            }
        } catch {
            switch error.cause {
            case .empty, .tooLong, .pickle, .json:
                return Inspection(
                    format: .undecodable(error), wireFormat: .undecodable, summary: MessageSummary(),
                    dropReason: error.description, mistakes: SenderMistakes())
            default: dropReason = error.description
            }
        }
        var summary = isJSON ? MessageSummary(of: decoder.json) : MessageSummary(of: decoder.pickle)
        summary.dialect = dialect
        return unsafe Inspection(
            format: isJSON ? .json : .pickle,
            wireFormat: isJSON ? .json(dialect) : .pickle(protocolVersion: Self.protocolVersion(of: payload)),
            summary: summary, dropReason: dropReason, mistakes: decoder.mistakes)
    }

    /// The protocol of a pickle, from its opcode PROTO. Protocols 0 and 1 have no PROTO; their first opcode differs:
    /// protocol 0 builds a message with MARK and DICT, protocol 1 with EMPTY_DICT.
    private static func protocolVersion(of payload: UnsafeRawBufferPointer) -> Int {
        guard payload.count > 1, unsafe payload[0] == 0x80 else {
            return unsafe payload.first == UInt8(ascii: "}") ? 1 : 0
        }
        return unsafe Int(payload[1])
    }

    /// Calls `body` with the pickle inspected last.
    package func withPickle<R>(_ body: (borrowing PickleDocument) throws -> R) rethrows -> R {
        try body(decoder.pickle)
    }

    /// Calls `body` with the JSON text inspected last.
    package func withJSON<R>(_ body: (borrowing JSONDocument) throws -> R) rethrows -> R {
        try body(decoder.json)
    }
}

/// A short name for the format of a payload, which tells the releases of a mixed fleet apart.
package enum WireFormat: Hashable, Sendable, CustomStringConvertible {
    /// python-socketio up to 5.13, on a Python with this default protocol.
    case pickle(protocolVersion: Int)
    /// From 5.14.0 on; nil for messages other than emits, which don't show the dialect.
    case json(Dialect?)
    case undecodable

    package var description: String {
        switch self {
        case .pickle(let version): "pickle \(version)"
        case .json(.json5_14_0): "JSON 5.14.0"
        case .json(.json5_14_2): "JSON 5.14.2"
        case .json(.json5_15_1): "JSON 5.15.1+"
        case .json: "JSON"
        case .undecodable: "undecodable"
        }
    }
}

/// The parts of a message that people look for; nil or empty if they are missing or no text.
package struct MessageSummary: Sendable {
    package var method: ByteString?
    package var event: ByteString?
    package var namespace: ByteString?
    /// The texts of `room`, which may be a list.
    package var rooms: [ByteString] = []
    /// The message is for everybody in the namespace. A room that isn't text doesn't count as everybody.
    package var isBroadcast = false
    package var sid: ByteString?
    package var hostID: ByteString?
    /// The key among the kept values of the event.
    package var key: ByteString?
    /// The message has a `keep` other than null.
    package var hasKeep = false
    /// The sender's dialect; nil for a JSON message that doesn't show it.
    package var dialect: Dialect?

    /// A summary of an unreadable message.
    package init() {}

    init<Document: MessageDocument & ~Copyable>(of document: borrowing Document) {
        guard document.shape(of: document.root) == .dictionary else { return }
        let fields = MessageFields(of: document)
        method = fields.method.flatMap { document.text($0) }
        event = fields.event.flatMap { document.text($0) }
        namespace = fields.namespace.flatMap { document.text($0) }
        sid = fields.sid.flatMap { document.text($0) }
        hostID = fields.hostID.flatMap { document.text($0) }
        key = fields.key.flatMap { document.text($0) }
        hasKeep = fields.keep.map { !document.isNone($0) } ?? false
        guard let room = fields.room, !document.isNone(room) else {
            isBroadcast = true
            return
        }
        if let text = document.text(room) {
            rooms = [text]
        } else if [.list, .tuple].contains(document.shape(of: room)) {
            var items = document.items(of: room)
            while let item = document.next(&items) {
                if let text = document.text(item) { rooms.append(text) }
                if document.isNone(item) { isBroadcast = true }
            }
        }
    }
}
