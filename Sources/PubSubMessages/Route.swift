import Bytes

/// Reads where a message goes: python-socketio's `PubSubManager._thread` and its `_handle_…` methods.
struct Route {
    private let ownHostID: ByteString
    private let dialect: Dialect
    private let lastHostID: ByteString
    /// The sender of this message; nil if the message doesn't name it.
    private(set) var hostID: ByteString?
    /// The namespace of this message, or of the last one that had a namespace.
    private(set) var namespace: ByteString
    /// The sender's mistakes that leave the meaning clear.
    private(set) var mistakes = SenderMistakes()

    /// - Parameters:
    ///   - hostID: the host id of this process.
    ///   - senderHostID: the sender of the last message. If this message has the same sender, it shares the storage.
    ///   - namespace: the namespace of the last message, shared likewise.
    init(hostID: ByteString, senderHostID: ByteString, namespace: ByteString, dialect: Dialect) {
        ownHostID = hostID
        lastHostID = senderHostID
        self.namespace = namespace
        self.dialect = dialect
    }

    mutating func read<Document: MessageDocument & ~Copyable>(
        _ fields: MessageFields<Document.Node>, of document: borrowing Document, roomNames: borrowing RoomNames,
        includingOwn: Bool
    ) throws(PubSubMessageError) -> PubSubMessage {
        if let node = fields.hostID {
            hostID = document.isText(node, equalTo: lastHostID) ? lastHostID : document.text(node)
            if let hostID, hostID.count > HostID.maximumBytes { self.hostID = nil }
        }
        guard let method = fields.method else {
            // A message with neither method nor data is an emit only if its data may have another key.
            guard fields.event != nil, fields.data != nil || !strangeKeys(of: document).isEmpty else {
                return .ignored(.noMethod)
            }
            if hostID == ownHostID, !includingOwn { return .ignored(.ownMessage) }
            mistakes.insert(.methodMissing)
            return try emit(fields, of: document, roomNames)
        }
        if document.isText(method, equalTo: Self.callback) { return ack(fields, of: document) }
        if hostID == ownHostID, !includingOwn {
            guard document.isText(method, equalTo: Self.canary), let id = fields.id.flatMap({ document.int64($0) })
            else { return aboutKeptValues(fields, of: document) ?? .ignored(.ownMessage) }
            return .canary(id: id)
        }
        if document.isText(method, equalTo: Self.emit) {
            return try emit(fields, of: document, roomNames)
        }
        let isEntering = document.isText(method, equalTo: Self.enterRoom)
        let isLeaving = !isEntering && document.isText(method, equalTo: Self.leaveRoom)
        let isClosing = !isEntering && !isLeaving && document.isText(method, equalTo: Self.closeRoom)
        guard isEntering || isLeaving || isClosing || document.isText(method, equalTo: Self.disconnect) else {
            if let message = aboutKeptValues(fields, of: document) { return message }
            // Only the instance that sent a canary uses it.
            return .ignored(document.isText(method, equalTo: Self.canary) ? .canaryOfAnotherHost : .unknownMethod)
        }
        guard readNamespace(fields, of: document) else { return .ignored(.noNamespace) }
        let sid = fields.sid.flatMap { document.text($0) }
        let room = fields.room.flatMap { document.text($0) }
        if let node = fields.room { noteNumber(document.shape(of: node)) }
        if isClosing {
            if let room { return .closeRoom(room: room, namespace: namespace) }
            // None is the name of the room that everybody of a namespace is in.
            let isNone = fields.room.map { document.shape(of: $0) == .none } ?? true
            return .ignored(isNone ? .broadcastRoom : .noTarget)
        }
        guard let sid else { return .ignored(.noTarget) }
        if !isEntering, !isLeaving { return .disconnect(sid: sid, namespace: namespace) }
        guard let room else { return .ignored(.noTarget) }
        return isEntering
            ? .enterRoom(sid: sid, room: room, namespace: namespace)
            : .leaveRoom(sid: sid, room: room, namespace: namespace)
    }

    static let emit: ByteString = "emit"
    private static let callback: ByteString = "callback"
    private static let disconnect: ByteString = "disconnect"
    private static let enterRoom: ByteString = "enter_room"
    private static let leaveRoom: ByteString = "leave_room"
    private static let closeRoom: ByteString = "close_room"
    private static let canary = ByteString(PubSubMessage.canaryMethod)
    private static let keptRequest = ByteString(PubSubMessage.keptRequestMethod)
    private static let keptStored = ByteString(PubSubMessage.keptStoredMethod)

    /// Reads the namespace; false if it is neither text nor None.
    ///
    /// python-socketio's emitters fill in `/`, its receivers don't: there a message without a namespace, or with one that
    /// lacks its slash, reaches nobody. The meaning is clear, so this adds the slash.
    private mutating func readNamespace<Document: MessageDocument & ~Copyable>(
        _ fields: MessageFields<Document.Node>, of document: borrowing Document
    ) -> Bool {
        if let node = fields.namespace {
            if document.isText(node, equalTo: namespace) { return true }
            let text = document.text(node)
            guard text != nil || document.shape(of: node) == .none else { return false }
            if let text, !text.isEmpty {
                if text.bytes.first == UInt8(ascii: "/") {
                    namespace = text
                } else {
                    mistakes.insert(.namespaceWithoutSlash)
                    namespace = ByteString(bytes: [UInt8(ascii: "/")] + text.bytes)
                }
                return true
            }
        }
        mistakes.insert(.namespaceMissing)
        namespace = "/"
        return true
    }

    private mutating func emit<Document: MessageDocument & ~Copyable>(
        _ fields: MessageFields<Document.Node>, of document: borrowing Document, _ roomNames: borrowing RoomNames
    ) throws(PubSubMessageError) -> PubSubMessage {
        guard fields.event != nil, fields.data != nil else {
            let key = fields.event == nil ? PubSubMessageError.RequiredKey.event : .data
            throw PubSubMessageError(.missingKey(key, others: strangeKeys(of: document)), hostID: hostID)
        }
        // Libraries always write the key `room`.
        if fields.room == nil, strangeKeys(of: document).contains("to") { mistakes.insert(.toForRoom) }
        let rooms = try rooms(fields.room, of: document, roomNames)
        let callback = try address(fields.callback, of: document)
        guard readNamespace(fields, of: document) else { return .ignored(.noNamespace) }
        let skipped = skipped(fields.skipSID, of: document)
        var emit = PubSubMessage.Emit(
            namespace: namespace, rooms: rooms, skip: skipped, callback: callback, hostID: hostID, dialect: dialect)
        if fields.keep != nil || fields.key != nil { readKeep(fields, of: document, into: &emit) }
        return .emit(emit)
    }

    /// Reads `keep` and `key`. A message with a mistake in one of them is delivered but not kept.
    private mutating func readKeep<Document: MessageDocument & ~Copyable>(
        _ fields: MessageFields<Document.Node>, of document: borrowing Document, into emit: inout PubSubMessage.Emit
    ) {
        do throws(SenderMistake) {
            if let node = fields.keep { emit.keep = try document.keepRequest(node) }
            if let node = fields.key { emit.key = try document.valueKey(node) }
            if let keep = emit.keep, keep != .no, emit.rooms == .everyone { throw .keepForEverybody }
        } catch {
            mistakes.insert(error)
            emit.keep = .no
        }
    }

    /// Reads a message of one ws-emit to the others; nil for other messages, and for incomplete ones.
    private func aboutKeptValues<Document: MessageDocument & ~Copyable>(
        _ fields: MessageFields<Document.Node>, of document: borrowing Document
    ) -> PubSubMessage? {
        guard let method = fields.method, let hostID, let id = fields.id.flatMap({ document.int64($0) }) else {
            return nil
        }
        if document.isText(method, equalTo: Self.keptRequest) { return .keptRequest(host: hostID, id: id) }
        guard document.isText(method, equalTo: Self.keptStored) else { return nil }
        var pairs = document.keysAndValues(of: document.root)
        while let (key, value) = document.next(&pairs) {
            guard document.isText(key, equalTo: "for") else { continue }
            return document.text(value).map { .keptStored(host: hostID, for: $0, id: id) }
        }
        return nil
    }

    /// The first three keys that mean nothing in an emit. Hand-made senders use them in place of the right key.
    private func strangeKeys<Document: MessageDocument & ~Copyable>(of document: borrowing Document) -> [ByteString] {
        var names: [ByteString] = []
        var pairs = document.keysAndValues(of: document.root)
        while names.count < 3, let (key, _) = document.next(&pairs) {
            switch document.key(key) {
            case .sid, .id, .args, nil: if let name = document.text(key) { names.append(name) }
            default: continue
            }
        }
        return names
    }

    private mutating func noteNumber(_ room: MessageShape) {
        switch room {
        case .bool, .integer, .float, .bytes: mistakes.insert(.roomNotText)
        case .none, .text, .list, .tuple, .dictionary, .other: break
        }
    }

    /// Reads the rooms: None is everybody, text is a room, and a list or tuple is the union of its members.
    ///
    /// Other hashable values are rooms that no client is in. Values that Python can't hash are an error, as in Python.
    private mutating func rooms<Document: MessageDocument & ~Copyable>(
        _ node: Document.Node?, of document: borrowing Document, _ roomNames: borrowing RoomNames
    ) throws(PubSubMessageError) -> PubSubMessage.Rooms {
        guard let node else { return .everyone }
        if let name = unsafe document.unescapedText(node) { return unsafe roomNames.rooms(named: name) }
        noteNumber(document.shape(of: node))
        switch document.shape(of: node) {
        case .none: return .everyone
        case .text: return .these(document.text(node).map { [$0] } ?? [])
        case .bool, .integer, .float, .bytes: return .these([])
        case .dictionary, .other: throw PubSubMessageError(.badRoom, hostID: hostID)
        case .list, .tuple: break
        }
        var names: [ByteString] = []
        var count = 0
        var hasEveryone = false
        var items = document.items(of: node)
        while let item = document.next(&items) {
            count += 1
            noteNumber(document.shape(of: item))
            switch document.shape(of: item) {
            case .text: if let name = document.text(item) { names.append(name) }
            case .none: hasEveryone = true
            case .bool, .integer, .float, .bytes, .tuple: continue
            case .list, .dictionary, .other: throw PubSubMessageError(.badRoom, hostID: hostID)
            }
        }
        guard count > 0 else { throw PubSubMessageError(.emptyRoomList, hostID: hostID) }
        return hasEveryone ? .everyone : .these(names)
    }

    /// Reads the sids to skip: a text or a list of texts. A tuple counts as a list, which it becomes in JSON.
    private mutating func skipped<Document: MessageDocument & ~Copyable>(
        _ node: Document.Node?, of document: borrowing Document
    ) -> [ByteString] {
        guard let node else { return [] }
        switch document.shape(of: node) {
        case .none: return []
        case .text: return document.text(node).map { [$0] } ?? []
        case .list, .tuple:
            var sids: [ByteString] = []
            var count = 0
            var items = document.items(of: node)
            while let item = document.next(&items) {
                count += 1
                if let sid = document.text(item) { sids.append(sid) }
            }
            if count == 0 {
                mistakes.insert(.skipSIDEmpty)
            } else if sids.count < count {
                mistakes.insert(.skipSIDNotText)
            }
            if count > 0, document.shape(of: node) == .tuple { mistakes.insert(.skipSIDTuple) }
            return sids
        case .bool, .integer, .float, .bytes, .dictionary, .other:
            mistakes.insert(.skipSIDNotText)
            return []
        }
    }

    /// Reads an ack. Acks for other processes, and incomplete ones, are ignored.
    private mutating func ack<Document: MessageDocument & ~Copyable>(
        _ fields: MessageFields<Document.Node>, of document: borrowing Document
    ) -> PubSubMessage {
        guard hostID == ownHostID else { return .ignored(.callbackOfAnotherHost) }
        guard fields.sid != nil, fields.args != nil, let id = fields.id else { return .ignored(.incompleteCallback) }
        let namespace = fields.namespace.flatMap { document.text($0) }
        return .callback(PubSubMessage.Callback(namespace: namespace, id: document.int64(id)))
    }

    /// Reads the address for an ack: any three values, even three characters or keys, since Python unpacks them all. Other
    /// lengths mean no callback; a value without a length is an error.
    private func address<Document: MessageDocument & ~Copyable>(
        _ node: Document.Node?, of document: borrowing Document
    ) throws(PubSubMessageError) -> CallbackAddress? {
        guard let node else { return nil }
        var parts: [CallbackAddress.RouteValue?] = []
        switch document.shape(of: node) {
        case .none: return nil
        case .bool, .integer, .float: throw PubSubMessageError(.badCallback, hostID: hostID)
        case .list, .tuple:
            var items = document.items(of: node)
            while parts.count < 4, let item = document.next(&items) {
                parts.append(value(item, of: document, depth: 0))
            }
        case .dictionary:
            var pairs = document.keysAndValues(of: node)
            while parts.count < 4, let (key, _) = document.next(&pairs) {
                parts.append(value(key, of: document, depth: 0))
            }
        case .text:
            let text = document.text(node)?.text ?? ""
            for scalar in text.unicodeScalars.prefix(4) {
                parts.append(.text(ByteString(String(scalar))))
            }
        case .bytes, .other: return nil
        }
        guard parts.count == 3, let room = parts[0], let namespace = parts[1], let id = parts[2] else { return nil }
        return CallbackAddress(hostID: hostID, dialect: dialect, room: room, namespace: namespace, id: id)
    }

    /// Reads a value that the ack repeats; nil for values that no emitter puts there.
    private func value<Document: MessageDocument & ~Copyable>(
        _ node: Document.Node, of document: borrowing Document, depth: Int
    ) -> CallbackAddress.RouteValue? {
        switch document.shape(of: node) {
        case .none: return CallbackAddress.RouteValue.none
        case .bool: return document.bool(node).map { .bool($0) }
        case .integer: return document.int64(node).map { .integer($0) }
        case .float: return document.double(node).map { .float($0) }
        case .text: return document.text(node).map { .text($0) }
        case .bytes, .dictionary, .other: return nil
        case .list, .tuple:
            guard depth < 4 else { return nil }
            var values: [CallbackAddress.RouteValue] = []
            var items = document.items(of: node)
            while let item = document.next(&items) {
                guard let value = value(item, of: document, depth: depth + 1) else { return nil }
                values.append(value)
            }
            return document.shape(of: node) == .tuple ? .tuple(values) : .list(values)
        }
    }
}
