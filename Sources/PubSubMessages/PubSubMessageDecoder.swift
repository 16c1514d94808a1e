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
/// The fast lane passes most emits by the parsers. Errors in their data are then thrown by `encodeEvent` instead of
/// `decode`. Owns the scratch of all parsers: one decoder per event loop.
package final class PubSubMessageDecoder {
    let hostID: ByteString
    let limits: PubSubMessageLimits
    let pickleLimits: PickleLimits
    // Unchecked: only this class's methods touch the scratch, and none calls back into it while it is in use; the checks
    // took a tenth of the time of a small message.
    @exclusivity(unchecked) var fastLane: EmitFastLane
    /// False only in tests, which compare both ways.
    let usesFastLane: Bool
    let roomNames = RoomNames()
    @exclusivity(unchecked) var pickle: PickleDocument
    @exclusivity(unchecked) var json: JSONDocument
    @exclusivity(unchecked) var writer = JSONWriter(capacity: 4096)
    @exclusivity(unchecked) var content = EmitContent.none
    @exclusivity(unchecked) var senders: SenderDialects
    /// What the sender of the last message got wrong, though it is clear what was meant.
    package var mistakes: SenderMistakes { found }
    /// Attachments of the last event that had more than ``SenderMistake/usualAttachments``.
    package private(set) var attachmentCount = 0
    // Behind a getter: of a stored property another module checks the access for each message.
    @exclusivity(unchecked) private var found = SenderMistakes()
    /// How a list in the `data` of JSON is read (`--dialect`).
    @exclusivity(unchecked) package var listConvention = ListConvention.learned

    package enum ListConvention: String, CaseIterable, Sendable {
        /// As each sender has shown, else as the newest release does.
        case learned = "auto"
        /// One argument: 5.14.0 to 5.15.0.
        case oneArgument = "5.14"
        /// The list of arguments: 5.15.1 and later.
        case arguments = "5.15.1"
    }
    /// The sender of the message in hand, nil when it doesn't say.
    package var senderHostID: ByteString? { hasSender ? lastHostID : nil }
    /// Whether the message in hand says who sent it: the last sender seen.
    @exclusivity(unchecked) private var hasSender = false
    /// The last sender and namespace seen; their bytes rarely change from message to message.
    @exclusivity(unchecked) var lastHostID: ByteString = ""
    @exclusivity(unchecked) var lastNamespace: ByteString = "/"
    @exclusivity(unchecked) var isLastHostOwn = false

    /// Where the last emit's event and data are.
    enum EmitContent {
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
        fastLane = EmitFastLane(pickleLimits: pickleLimits, jsonLimits: JSONLimits(limits))
        self.usesFastLane = usesFastLane
        senders = SenderDialects(capacity: limits.maximumSenders)
    }

    /// Gives the memory back that large messages took; the message in hand can't be encoded afterwards.
    package func releaseScratch() {
        content = .none
        pickle = PickleDocument(limits: pickleLimits)
        json = JSONDocument(limits: JSONLimits(limits))
        fastLane = EmitFastLane(pickleLimits: pickleLimits, jsonLimits: JSONLimits(limits))
        writer = JSONWriter(capacity: 4096)
    }

    /// Bytes of memory kept for the JSON of events: a small pickle can have a long one.
    package var writerBytes: Int { writer.reservedBytes }

    /// Reads where a message goes.
    ///
    /// - Parameters:
    ///   - payload: must stay valid until the next `decode`, since `encodeEvent` reads the content from it.
    ///   - includingOwn: also what has this process's host id, for a message on its way out.
    ///   - mayReach: whether an emit for the room, by its bytes, in the namespace may reach anybody. Of an emit for one
    ///     room that the fast lane has located this is asked before anything is made of it.
    /// - Throws: what python-socketio's receivers would drop with an exception or can't decode. What is wrong within the
    ///   data of an emit may be thrown by `encodeEvent`.
    package func decode(
        _ payload: UnsafeRawBufferPointer, includingOwn: Bool = false,
        mayReach: (UnsafeRawBufferPointer, ByteString) -> Bool = { _, _ in true }
    ) throws(PubSubMessageError) -> PubSubMessage {
        if let message = decodeFast(payload, includingOwn: includingOwn, mayReach: mayReach) { return message }
        return try decodeWhole(payload, includingOwn: includingOwn)
    }

    /// The same, but all of the payload is parsed.
    func decodeWhole(
        _ payload: UnsafeRawBufferPointer, includingOwn: Bool
    ) throws(PubSubMessageError) -> PubSubMessage {
        beginMessage(hasSender: false)
        guard let first = payload.first else { throw PubSubMessageError(.empty) }
        guard payload.count <= limits.maximumPayloadBytes else {
            throw PubSubMessageError(
                .tooLong(byteCount: payload.count, limit: limits.maximumPayloadBytes),
                hostID: HostIDGlimpse.hostID(in: payload))
        }
        if Self.isJSON(first) {
            do throws(JSONError) { try json.parse(payload) } catch {
                throw PubSubMessageError(.json(error), hostID: HostIDGlimpse.hostID(in: payload))
            }
            noteEncoding(payload)
            return try decodeJSON(includingOwn: includingOwn)
        }
        do throws(PickleError) { try pickle.parse(payload) } catch {
            throw PubSubMessageError(.pickle(error), hostID: HostIDGlimpse.hostID(in: payload))
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
            content = .pickle(event: event, data: data)
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
            content = .json(
                event: event, data: data, isBinary: isBinary, isArgumentList: emit.dialect == .json5_15_1)
            message = .emit(emit)
        }
        return message
    }

    /// Whether the first element, which is the data where attachments follow it, is a list.
    private func hasListBesideAttachments(_ data: JSONDocument.Node) -> Bool {
        var elements = json.elements(of: data)
        return elements.next().map { json.kind(of: $0) == .array } ?? true
    }

    /// The form of an emit's data, learnt from this message and the sender's earlier ones.
    ///
    /// - Parameter written: what the message alone shows.
    func dialect(_ written: Dialect, of hostID: ByteString?) -> Dialect {
        switch listConvention {
        case .arguments: return .json5_15_1
        case .oneArgument: return written == .json5_14_0 ? .json5_14_0 : .json5_14_2
        case .learned: break
        }
        guard let hostID else { return written }
        guard written == .json5_15_1 else {
            senders.noteBareData(hostID)
            return written
        }
        return !senders.isEmpty && senders.writesBareData(hostID) ? .json5_14_2 : .json5_15_1
    }

    /// `json.loads` reads them all, but the next receiver may not.
    private func noteEncoding(_ payload: UnsafeRawBufferPointer) {
        let (first, second) = (payload[0], payload.count > 1 ? payload[1] : 1)
        if first == 0xEF { found.insert(.byteOrderMark) }
        if first == 0xFE || first == 0xFF || first == 0 || second == 0 { found.insert(.notUTF8) }
    }

    /// Notes attachments that clients may not take.
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
    /// Whether Python takes the value for false: None, 0, and what is empty.
    fileprivate func isEmptyValue(_ node: Node) -> Bool {
        switch kind(of: node) {
        case .none: true
        case .bool, .int: int64(node) == 0
        case .float: double(node) == 0
        case .str, .byteString, .bytes, .bytearray: bytes(of: node)?.isEmpty ?? false
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
