import Bytes
import EmitFastLane
import JSONCodec
import PickleCodec

/// Decodes the payloads of the channel, pickle or JSON, with the semantics of python-socketio's receivers.
///
/// Two steps, because most messages are for rooms with nobody here: `decode` reads where a message goes, `encodeEvent`
/// writes its event.
///
///     payload ─▶ PickleDocument or JSONDocument ─▶ MessageFields ─▶ Route ─▶ PubSubMessage ─▶ encodeEvent
///
/// Most emits take the fast lane instead of a parser. Errors in their data are then thrown by `encodeEvent` instead of
/// `decode`. A decoder owns the scratch of all parsers: there is one per event loop.
package final class PubSubMessageDecoder {
    let hostID: ByteString
    let limits: PubSubMessageLimits
    let pickleLimits: PickleLimits
    // Exclusivity is unchecked for the state that every message changes through calls into another module, here and in the
    // bridge: the checks took 22 % of the instructions of a message for an empty room. Other properties need no mark, since
    // the optimizer proves their accesses exclusive. None of the calls comes back to the same property.
    @exclusivity(unchecked) var fastLane: EmitFastLane
    /// False only in tests, which compare both ways.
    let usesFastLane: Bool
    let roomNames = RoomNames()
    var pickle: PickleDocument
    var json: JSONDocument
    @exclusivity(unchecked) var writer = JSONWriter(capacity: 4096)
    var content = EmitContent.none
    @exclusivity(unchecked) var senders: BareDataSenders
    /// The mistakes in the last message, which leave its meaning clear.
    package var mistakes: SenderMistakes { found }
    /// Attachments of the last event that had more than ``SenderMistake/usualAttachments``.
    package private(set) var attachmentCount = 0
    // Behind a getter: of a stored property another module checks the access for each message.
    private var found = SenderMistakes()
    /// The meaning of a list in the `data` of JSON (`--dialect`).
    package var listConvention = ListConvention.learned

    package enum ListConvention: String, CaseIterable, Sendable {
        /// As learnt from each sender's messages, else as in the newest release.
        case learned = "auto"
        /// One argument: 5.14.0 to 5.15.0.
        case oneArgument = "5.14"
        /// The list of arguments: 5.15.1 and later.
        case arguments = "5.15.1"
    }
    /// The sender of the current message; nil if it doesn't say.
    package var senderHostID: ByteString? { hasSender ? lastHostID : nil }
    /// The current message names its sender, `lastHostID`.
    private var hasSender = false
    /// The last sender and namespace seen; their bytes rarely change from message to message.
    var lastHostID: ByteString = ""
    var lastNamespace: ByteString = "/"
    var isLastHostOwn = false

    /// Event and data of the last emit.
    @safe enum EmitContent {
        case none
        /// In a payload that only the fast lane has read.
        case located(UnsafeRawBufferPointer, isArgumentList: Bool)
        case pickle(event: PickleDocument.Node, data: PickleDocument.Node)
        case json(event: JSONDocument.Node, data: JSONDocument.Node, isBinary: Bool, isArgumentList: Bool)
    }

    /// - Parameters:
    ///   - hostID: this process's own; its messages are ignored, as it has handled them before publishing.
    ///   - usesFastLane: false in tests that compare both ways.
    package init(hostID: ByteString, limits: PubSubMessageLimits = .init(), usesFastLane: Bool = true) {
        self.hostID = hostID
        self.limits = limits
        var pickleLimits = PickleLimits()
        pickleLimits.maximumInputBytes = limits.maximumPayloadBytes
        pickleLimits.maximumDepth = limits.maximumDepth
        pickleLimits.maximumNodes = limits.maximumNodes
        self.pickleLimits = pickleLimits
        pickle = PickleDocument(limits: pickleLimits)
        json = JSONDocument(limits: JSONLimits(limits))
        unsafe fastLane = EmitFastLane(pickleLimits: pickleLimits, jsonLimits: JSONLimits(limits))
        self.usesFastLane = usesFastLane
        unsafe senders = BareDataSenders(capacity: limits.maximumSenders)
    }

    /// Frees the memory that large messages took; the current message can't be encoded afterwards.
    package func releaseScratch() {
        content = .none
        pickle = PickleDocument(limits: pickleLimits)
        json = JSONDocument(limits: JSONLimits(limits))
        unsafe fastLane = EmitFastLane(pickleLimits: pickleLimits, jsonLimits: JSONLimits(limits))
        unsafe writer = JSONWriter(capacity: 4096)
    }

    /// Bytes of memory kept for the JSON of events: a small pickle can have a long one.
    package var writerBytes: Int { unsafe writer.reservedBytes }

    /// Reads where a message goes.
    ///
    /// - Parameters:
    ///   - payload: must stay valid until the next `decode`, since `encodeEvent` reads the content from it. No span, because
    ///     a span can't be kept after the call.
    ///   - includingOwn: also messages with this process's host id, to deliver one before it is published.
    ///   - mayReach: returns false if nobody is in the room, given as bytes, of the namespace. The fast lane calls it for an
    ///     emit to one room before anything is allocated.
    /// - Throws: an error for messages that python-socketio's receivers can't decode or drop with an exception. Errors in
    ///   the data of an emit may be thrown by `encodeEvent`.
    package func decode(
        _ payload: UnsafeRawBufferPointer, includingOwn: Bool = false,
        mayReach: (UnsafeRawBufferPointer, ByteString) -> Bool = { _, _ in true }
    ) throws(PubSubMessageError) -> PubSubMessage {
        if let message = unsafe decodeFast(payload, includingOwn: includingOwn, mayReach: mayReach) { return message }
        return try unsafe decodeWhole(payload, includingOwn: includingOwn)
    }

    /// Parses the whole payload.
    func decodeWhole(
        _ payload: UnsafeRawBufferPointer, includingOwn: Bool
    ) throws(PubSubMessageError) -> PubSubMessage {
        beginMessage(hasSender: false)
        guard let first = unsafe payload.first else { throw PubSubMessageError(.empty) }
        guard payload.count <= limits.maximumPayloadBytes else {
            throw unsafe PubSubMessageError(
                .tooLong(byteCount: payload.count, limit: limits.maximumPayloadBytes),
                hostID: HostIDFinder.hostID(in: payload))
        }
        if Self.isJSON(first) {
            do throws(JSONError) { try unsafe json.parse(payload) } catch {
                throw unsafe PubSubMessageError(.json(error), hostID: HostIDFinder.hostID(in: payload))
            }
            unsafe noteEncoding(payload)
            return try decodeJSON(includingOwn: includingOwn)
        }
        do throws(PickleError) { try unsafe pickle.parse(payload) } catch {
            throw unsafe PubSubMessageError(.pickle(error), hostID: HostIDFinder.hostID(in: payload))
        }
        return try decodePickle(includingOwn: includingOwn)
    }

    /// Whether a payload is JSON by its first byte. No pickled dict starts with one of these: `{`, `[`, `"`, white
    /// space, digits and a minus sign are no opcodes that leave a dict, nor are the first bytes of a byte order mark
    /// and of UTF-16.
    static func isJSON(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""), 0x20, 0x09, 0x0A, 0x0D: true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): true
        case 0xEF, 0xFE, 0xFF, 0x00: true
        default: false
        }
    }

    private func decodePickle(includingOwn: Bool) throws(PubSubMessageError) -> PubSubMessage {
        guard pickle.shape(of: pickle.root) == .dictionary else {
            if pickle.isEmptyValue(pickle.root) { return .ignored(.notAMessage) }
            throw PubSubMessageError(.notADictionary)
        }
        let fields = MessageFields(of: pickle)
        var route = Route(hostID: hostID, senderHostID: lastHostID, namespace: lastNamespace, dialect: .pickle)
        let message = try route.read(fields, of: pickle, roomNames: roomNames, includingOwn: includingOwn)
        remember(route)
        if case .emit = message {
            // Both are there, or reading the route had thrown.
            guard let event = fields.event, let data = fields.data else { return message }
            unsafe content = .pickle(event: event, data: data)
        }
        return message
    }

    private func decodeJSON(includingOwn: Bool) throws(PubSubMessageError) -> PubSubMessage {
        guard json.kind(of: json.root) == .object else {
            if !json.isTruthy(json.root) { return .ignored(.notAMessage) }
            throw PubSubMessageError(.notADictionary)
        }
        let fields = MessageFields(of: json)
        let isList = fields.data.map { json.kind(of: $0) == .array } ?? false
        var route = Route(
            hostID: hostID, senderHostID: lastHostID, namespace: lastNamespace,
            dialect: Dialect(hasBinary: fields.binary != nil, isList: isList))
        var message = try route.read(fields, of: json, roomNames: roomNames, includingOwn: includingOwn)
        remember(route)
        if case .emit(var emit) = message {
            guard let event = fields.event, let data = fields.data else { return message }
            var isBinary = fields.binary.map { json.isTruthy($0) } ?? false
            if isBinary, !isList {
                isBinary = false
                found.insert(.binaryWithoutList)
            }
            if isBinary { emit.dialect = Dialect(hasBinary: true, isList: hasListBesideAttachments(data)) }
            emit.dialect = dialect(emit.dialect, of: emit.hostID)
            emit.callback?.dialect = emit.dialect
            unsafe content = .json(
                event: event, data: data, isBinary: isBinary, isArgumentList: emit.dialect == .json5_15_1)
            message = .emit(emit)
        }
        return message
    }

    /// The first element, which is the data if attachments follow it, is a list.
    private func hasListBesideAttachments(_ data: JSONDocument.Node) -> Bool {
        var elements = json.elements(of: data)
        return elements.next().map { json.kind(of: $0) == .array } ?? true
    }

    /// The dialect of an emit, learnt from this message and the sender's earlier ones.
    ///
    /// - Parameter written: the dialect that the message alone shows.
    func dialect(_ written: Dialect, of hostID: ByteString?) -> Dialect {
        switch listConvention {
        case .arguments: return .json5_15_1
        case .oneArgument: return written == .json5_14_0 ? .json5_14_0 : .json5_14_2
        case .learned: break
        }
        guard let hostID else { return written }
        guard written == .json5_15_1 else {
            unsafe senders.noteBareData(hostID)
            return written
        }
        return unsafe !senders.isEmpty && senders.writesBareData(hostID) ? .json5_14_2 : .json5_15_1
    }

    /// `json.loads` reads all encodings, but other receivers may not.
    private func noteEncoding(_ payload: UnsafeRawBufferPointer) {
        let (first, second) = unsafe (payload[0], payload.count > 1 ? payload[1] : 1)
        if first == 0xEF { found.insert(.byteOrderMark) }
        if first == 0xFE || first == 0xFF || first == 0 || second == 0 { found.insert(.notUTF8) }
    }

    /// Notes a number of attachments that some clients refuse.
    func note(attachments count: Int) {
        guard count > SenderMistake.usualAttachments else { return }
        attachmentCount = count
        found.insert(.manyAttachments)
    }

    /// Forgets the message before.
    func beginMessage(hasSender: Bool) {
        content = .none
        self.hasSender = hasSender
        found = SenderMistakes()
    }

    func remember(_ route: Route) {
        hasSender = route.hostID != nil
        found.formUnion(route.mistakes)
        if let host = route.hostID {
            lastHostID = host
            isLastHostOwn = host == hostID
        }
        lastNamespace = route.namespace
    }
}

extension PickleDocument {
    /// The value is false in Python: None, 0, or empty.
    fileprivate func isEmptyValue(_ node: Node) -> Bool {
        switch kind(of: node) {
        case .none: true
        case .bool, .int: int64(node) == 0
        case .float: double(node) == 0
        case .str, .byteString, .bytes, .bytearray: unsafe bytes(of: node)?.isEmpty ?? false
        case .tuple, .list, .set, .frozenset, .dict: count(of: node) == 0
        case .global, .object, .persistentID: false
        }
    }
}

extension JSONLimits {
    fileprivate init(_ limits: PubSubMessageLimits) {
        self.init(
            maximumDepth: limits.maximumDepth, maximumNodes: limits.maximumNodes,
            maximumBytes: limits.maximumPayloadBytes)
    }
}
