import Bytes
import JSONCodec
import PickleCodec

/// The reason why a message on the channel can't be used, or one of ours can't be published.
package struct PubSubMessageError: Error, Sendable, CustomStringConvertible {
    package enum Cause: Sendable {
        case empty
        /// A pickle that can't be read; the error has the offset and a hint.
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
        /// An ack with bytes to a sender that reads JSON.
        case binaryAck
        case badArguments(JSONError)
    }

    /// A key of a message that must be there.
    package enum RequiredKey: String, Sendable {
        case event, data
    }

    package let cause: Cause
    /// The sending process, if the message could be read as far as its host id.
    package let hostID: ByteString?

    /// A message to be emitted that isn't an emit.
    package static let notAnEmit = PubSubMessageError(.nothingDecoded)

    init(_ cause: Cause, hostID: ByteString? = nil) {
        self.cause = cause
        self.hostID = hostID
    }

    /// One line with the mistake and the sender's way to fix it.
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
        case .binaryAck: "an ack with binary arguments can't be sent to python-socketio 5.14 or later"
        case .badArguments(let error): "the arguments of the ack: \(error)"
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
        case .binaryAck: "binary ack"
        case .badArguments: "bad arguments"
        }
    }
}

/// Limits of one message.
package struct PubSubMessageLimits: Sendable {
    /// The longest payload in bytes. Redis itself disconnects a subscriber off at 32 MB of unread messages.
    package var maximumPayloadBytes = 16 << 20
    /// Nesting of the message, in both formats; Python stops near 1000.
    package var maximumDepth = 1000
    /// The most values of a message. Each takes 16 bytes or more during decoding.
    package var maximumNodes = 1 << 22
    /// The most bytes of JSON written for one event.
    package var maximumOutputBytes = 64 << 20
    /// The most senders of bare `data` to remember.
    package var maximumSenders = 1024

    package init() {}
}
