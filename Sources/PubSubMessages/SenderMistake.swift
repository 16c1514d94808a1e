/// A mistake that leaves the meaning clear: the message is delivered, and the log asks to fix the sender.
///
/// Hand-made senders do this; python-socketio's own releases never do, and its receivers drop such messages silently.
package enum SenderMistake: UInt8, Error, Hashable, Sendable, CaseIterable {
    case namespaceMissing
    case namespaceWithoutSlash
    case skipSIDEmpty
    case skipSIDNotText
    case skipSIDTuple
    case methodMissing
    case binaryWithoutList
    case byteOrderMark
    case notUTF8
    case roomNotText
    case toForRoom
    case manyAttachments
    case keepNotTime
    case keyNotText
    case keepForEverybody

    /// Attachments of one event that every client takes.
    package static let usualAttachments = 10

    /// The mistake and its cure, for the log.
    package var advice: String {
        switch self {
        case .namespaceMissing: "the namespace is missing, null or empty, taken for /: publish \"/\""
        case .namespaceWithoutSlash:
            "the namespace has no slash at its beginning, taken as if it had: publish \"/chat\", not \"chat\""
        case .skipSIDEmpty: "skip_sid is an empty list: publish null when nobody is to be skipped"
        case .skipSIDNotText:
            "skip_sid is neither a text nor a list of texts, nobody is skipped: publish a sid, a list, or null"
        case .skipSIDTuple:
            "skip_sid is a tuple, taken for a list: other receivers compare it as one value and skip nobody"
        case .methodMissing:
            "there is no method, taken for emit because there are an event and data: publish \"method\": \"emit\""
        case .binaryWithoutList:
            "binary is true but data holds no attachments, taken as it is: publish \"binary\": false"
        case .byteOrderMark: "the JSON begins with a byte order mark: publish it without"
        case .notUTF8: "the JSON is UTF-16 or UTF-32: publish UTF-8"
        case .roomNotText:
            "a room is a number, bool or bytes, which no client can be in: publish the text, \"5\", not 5"
        case .toForRoom:
            "there is no room but a to, which no receiver knows, so that everybody gets it: publish \"room\", or null for everybody"
        case .manyAttachments:
            "an event has more than \(Self.usualAttachments) attachments, at which JavaScript clients since socket.io-parser 4.2.6 "
                + "disconnect: publish fewer and larger values, or several events"
        case .keepNotTime:
            "keep is neither true, false nor a number of seconds above 0, the message isn't kept: publish true, or 300"
        case .keyNotText:
            "key is no text of at most \(KeepRequest.maximumKeyBytes) bytes, the message isn't kept: publish a shorter text, \"5\", not 5"
        case .keepForEverybody:
            "keep stands in a message for everybody, which can't be kept: publish it to a room"
        }
    }
}

/// The mistakes in one message.
package struct SenderMistakes: Sendable, Equatable {
    private var bits: UInt16 = 0

    package init() {}

    package var isEmpty: Bool { bits == 0 }

    package mutating func insert(_ mistake: SenderMistake) { bits |= 1 << UInt16(mistake.rawValue) }

    package func contains(_ mistake: SenderMistake) -> Bool { bits & 1 << UInt16(mistake.rawValue) != 0 }

    /// Each of them, in the order of their declaration.
    package var all: [SenderMistake] { SenderMistake.allCases.filter { contains($0) } }

    package mutating func formUnion(_ others: SenderMistakes) { bits |= others.bits }
}
