import JSONCodec

/// An emit of ours as it is published.
package struct PublishedEmit: Sendable {
    package let payload: [UInt8]
    /// Where its parts stand when it is as simple as most are; what isn't is decoded like any other message.
    let parts: Parts?

    struct Parts: Sendable {
        /// Content of the texts, without their quotes.
        let event: Range<Int>
        let namespace: Range<Int>
        /// Nil for everybody.
        let room: Range<Int>?
        /// Nil for null; no list.
        let data: Range<Int>?
    }

    package init(payload: [UInt8]) { self.init(payload: payload, parts: nil) }

    init(payload: [UInt8], parts: Parts?) {
        self.payload = payload
        self.parts = parts
    }

    /// Reads the body of a `POST /emit` in one pass, and writes what `PubSubMessageEncoder.emit` would.
    ///
    /// - Returns: nil where the full parse is needed: the body may be no JSON, something is spelled unusually or of a rare
    ///   kind, a report is asked for, or the secret is wrong.
    package init?(
        body: UnsafeRawBufferPointer, hostID: ByteString, isSecret: (UnsafeRawBufferPointer) -> Bool
    ) {
        var scan = JSONScan()
        guard scan.scan(body), let fields = SimpleFields(of: scan), let secret = fields.secret, isSecret(secret) else {
            return nil
        }
        self.init(fields, hostID: hostID)
    }

    private init?(_ fields: SimpleFields, hostID: ByteString) {
        guard let event = fields.event else { return nil }
        var writer = JSONWriter(capacity: event.count + fields.byteCount + 192)
        writer.append("{\"method\":\"emit\",\"event\":\"")
        let eventRange = writer.place { $0.append(raw: event) }
        writer.append("\",\"data\":")
        var isSpliced = true
        let dataRange = writer.place {
            if let data = fields.data {
                isSpliced = $0.appendSpliced(data, limits: JSONLimits())
            } else {
                $0.append("null")
            }
        }
        guard isSpliced else { return nil }
        writer.append(",\"namespace\":\"")
        let namespaceRange = writer.place {
            if let name = fields.namespace { $0.append(raw: name) } else { $0.append("/") }
        }
        writer.append("\",\"room\":")
        var roomRange: Range<Int>?
        if let room = fields.room {
            writer.append("\"")
            roomRange = writer.place { $0.append(raw: room) }
            writer.append("\"")
        } else {
            writer.append("null")
        }
        writer.append(",\"skip_sid\":null,\"callback\":null,\"host_id\":")
        hostID.withUnsafeBytes { writer.appendString(wtf8: $0) }
        writer.append("}")
        payload = writer.copyBytes()
        parts = Parts(
            event: eventRange, namespace: namespaceRange, room: roomRange, data: fields.data == nil ? nil : dataRange)
    }
}

extension JSONWriter {
    /// Where what `write` appends stands.
    fileprivate mutating func place(_ write: (inout JSONWriter) -> Void) -> Range<Int> {
        let start = count
        write(&self)
        return start..<count
    }
}

/// What a simple body of `POST /emit` says, as it stands there.
private struct SimpleFields {
    private(set) var secret: UnsafeRawBufferPointer?
    private(set) var event: UnsafeRawBufferPointer?
    /// Nil where it has none: `/`.
    private(set) var namespace: UnsafeRawBufferPointer?
    private(set) var room: UnsafeRawBufferPointer?
    /// The value's text; nil for null.
    private(set) var data: UnsafeRawBufferPointer?
    private var seen: Set = []

    private struct Set: OptionSet {
        let rawValue: UInt8
        static let secret = Set(rawValue: 1), event = Set(rawValue: 2), namespace = Set(rawValue: 4)
        static let room = Set(rawValue: 8), data = Set(rawValue: 16)
    }

    var byteCount: Int { (namespace?.count ?? 0) + (room?.count ?? 0) + (data?.count ?? 0) }

    /// Nil where something is not simple.
    init?(of scan: borrowing JSONScan) {
        var pairs = scan.keysAndValues(of: scan.root)
        while let (key, value) = scan.next(&pairs) {
            guard let name = scan.plainText(key), take(name, value, scan) else { return nil }
        }
    }

    private mutating func take(
        _ name: UnsafeRawBufferPointer, _ value: JSONScan.Node, _ scan: borrowing JSONScan
    ) -> Bool {
        if Self.isName(name, "data") {
            // A list is written in more than one form.
            guard value.kind != .array else { return false }
            if value.kind != .null { data = scan.text(of: value) }
            return note(.data)
        }
        // The scan has looked at these wholly.
        guard value.kind == .plainText || value.kind == .null || value.kind == .bool else { return false }
        let text = scan.plainText(value)
        if Self.isName(name, "secret") {
            secret = text
            return note(.secret)
        }
        if Self.isName(name, "event") {
            event = text
            return note(.event)
        }
        if Self.isName(name, "room") || Self.isName(name, "to") {
            // Empty means everybody, as null does. Both keys together are left to the full parse.
            if let text, !text.isEmpty { room = text }
            return note(.room) && value.kind != .bool
        }
        if Self.isName(name, "namespace") {
            if let text, !text.isEmpty { namespace = text }
            return note(.namespace) && value.kind != .bool && namespace.map { $0.first == UInt8(ascii: "/") } ?? true
        }
        return Self.isName(name, "report") && scan.bool(value) == false
    }

    /// False when it was there before.
    private mutating func note(_ field: Set) -> Bool { seen.insert(field).inserted }

    @inline(__always) private static func isName(_ bytes: UnsafeRawBufferPointer, _ name: StaticString) -> Bool {
        bytes.count == name.utf8CodeUnitCount && name.withUTF8Buffer { sameBytes(bytes, UnsafeRawBufferPointer($0)) }
    }
}

extension PubSubMessageDecoder {
    /// Decodes an emit of ours on its way out, and calls `body` with the message, during which `encodeEvent` may be called.
    package func decoding<R>(_ emit: PublishedEmit, _ body: (PubSubMessage) throws -> R) throws -> R {
        try emit.payload.withUnsafeBytes { payload in
            guard let parts = emit.parts, payload.count <= limits.maximumPayloadBytes else {
                return try body(try decode(payload, includingOwn: true))
            }
            return try body(message(parts, of: payload))
        }
    }

    private func message(_ parts: PublishedEmit.Parts, of payload: UnsafeRawBufferPointer) -> PubSubMessage {
        func text(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: payload[range]) }
        begin(ownEvent: text(parts.event), data: parts.data.map(text))
        let namespace = text(parts.namespace)
        if !lastNamespace.hasBytes(namespace) { lastNamespace = ByteString(namespace) }
        return .emit(
            PubSubMessage.Emit(
                namespace: lastNamespace, rooms: parts.room.map { roomNames.rooms(named: text($0)) } ?? .everyone,
                skip: [], callback: nil, hostID: hostID,
                dialect: dialect(Dialect(hasBinary: false, isList: false), of: hostID)))
    }
}
