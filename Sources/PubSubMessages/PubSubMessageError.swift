import Bytes
import JSONCodec
import PickleCodec

/// Why a message on the channel can't be used, or an own one can't be published.
package struct PubSubMessageError: Error, Sendable, CustomStringConvertible {
    package enum Cause: Sendable {
        case empty
        /// Neither Python's nor ours can read the pickle; offset and hint are in the error.
        case pickle(PickleError)
        case json(JSONError)
        /// Longer than the decoder's limit, in bytes.
        case tooLong(byteCount: Int, limit: Int)
        /// A value that isn't a dict.
        case notADictionary
        /// - Parameter others: keys of the message that no receiver knows.
        case missingKey(RequiredKey, others: [ByteString])
        /// A pickled value that has no JSON form (an object, a set).
        case unserializable(PickleJSONError)
        case emptyRoomList
        case badRoom
        case badCallback
        case binaryWithoutAttachments
        case attachmentNotText
        case attachmentNotBase64
        case placeholderOutOfRange
        case nothingDecoded
        /// An answer with bytes to a sender that reads JSON.
        case binaryAnswer
        case badArguments(JSONError)
    }

    /// A key of a message that must be there.
    package enum RequiredKey: String, Sendable {
        case event, data
    }

    package let cause: Cause
    /// The sending process, if the message could be read as far as that.
    package let hostID: ByteString?

    /// A message that was to be emitted and is another one.
    package static let notAnEmit = PubSubMessageError(.nothingDecoded)

    init(_ cause: Cause, hostID: ByteString? = nil) {
        self.cause = cause
        self.hostID = hostID
    }

    /// One line: what is wrong, and what the sender can do about it.
    package var description: String {
        switch cause {
        case .empty: "an empty message"
        case .pickle(let error): "\(error)"
        case .json(let error): "\(error)"
        case .tooLong(let byteCount, let limit): "a message of \(byteCount) bytes; \(limit) are allowed"
        case .notADictionary: "a value that is no dict where a message was expected"
        case .missingKey(let key, let others):
            "an emit without the key \(key.rawValue)"
                + (others.isEmpty
                    ? ""
                    : ", and with \(others.map(\.description).joined(separator: ", ")), which no receiver knows: rename it")
        case .unserializable(let error): "\(error)"
        case .emptyRoomList: "an empty list of rooms (publish None for everybody)"
        case .badCallback: "a callback that is neither None nor a tuple of room, namespace and id"
        case .badRoom: "a room that is neither text nor a list of texts"
        case .binaryWithoutAttachments: "binary is true, but data isn't a list of a structure and its attachments"
        case .attachmentNotText: "an attachment that isn't base64 text"
        case .attachmentNotBase64: "an attachment with wrong base64 padding"
        case .placeholderOutOfRange: "a placeholder whose num is no attachment"
        case .nothingDecoded: "no emit, since its namespace is neither text nor null"
        case .binaryAnswer: "an answer with binary arguments can't be sent to python-socketio 5.14 or later"
        case .badArguments(let error): "the arguments of the answer: \(error)"
        }
    }

    /// The kind of failure without its details, to tell failures of one sender apart.
    package var causeName: String {
        switch cause {
        case .empty: "empty"
        case .pickle(let error): "pickle: " + error.cause.summary
        case .json: "json"
        case .tooLong: "too long"
        case .notADictionary: "not a dict"
        case .missingKey(let key, _): key.rawValue
        case .unserializable(let error): "unserializable \(error.cause) \(error.typeName)"
        case .emptyRoomList: "empty room list"
        case .badRoom: "bad room"
        case .badCallback: "bad callback"
        case .binaryWithoutAttachments: "binary without attachments"
        case .attachmentNotText: "attachment not text"
        case .attachmentNotBase64: "attachment not base64"
        case .placeholderOutOfRange: "placeholder out of range"
        case .nothingDecoded: "nothing decoded"
        case .binaryAnswer: "binary answer"
        case .badArguments: "bad arguments"
        }
    }
}

/// What one message may cost.
package struct PubSubMessageLimits: Sendable {
    /// Longest payload in bytes. Redis itself cuts a subscriber off at 32 MB of unread messages.
    package var maximumPayloadBytes = 16 << 20
    /// Nesting of the message, in both forms; Python stops near 1000.
    package var maximumDepth = 1000
    /// Most values of a message: each takes 16 bytes or more while it is looked at.
    package var maximumNodes = 1 << 22
    /// Most bytes of JSON written for one event.
    package var maximumOutputBytes = 64 << 20
    /// Senders remembered for their way to write `data`.
    package var maximumSenders = 1024

    package init() {}
}
