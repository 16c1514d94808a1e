import Bytes
import JSONCodec

/// Where the values of an emit of this process are in its payload.
package struct OwnEmitParts: Sendable {
    /// Content of the texts, without their quotes.
    let event: Range<Int>
    let namespace: Range<Int>
    let hostID: Range<Int>
    /// Nil for everybody.
    let room: Range<Int>?
    /// Nil for null; no list.
    let data: Range<Int>?
}

extension EmitFastLane {
    /// Reads the body of a `POST /emit` in one pass, and writes the payload that `PubSubMessageEncoder.emit` would write.
    ///
    /// - Returns: nil where the body has to be parsed: it may be no JSON, a value is written unusually or of a rare kind, a
    ///   report is asked for, or the secret is wrong.
    package static func ownEmit(
        body: UnsafeRawBufferPointer, hostID: ByteString, isSecret: (UnsafeRawBufferPointer) -> Bool
    ) -> (payload: [UInt8], parts: OwnEmitParts)? {
        var locator = JSONLocator()
        guard locator.locate(body), let fields = EmitBody(locator), let secret = fields.secret, isSecret(secret),
            let event = fields.event
        else { return nil }
        var writer = JSONWriter(capacity: event.count + fields.byteCount + 192)
        writer.append("{\"method\":\"emit\",\"event\":\"")
        let eventRange = writer.range { $0.append(raw: event) }
        writer.append("\",\"data\":")
        var isCopied = true
        let dataRange = writer.range {
            if let data = fields.data {
                isCopied = $0.appendVerbatim(data, limits: JSONLimits())
            } else {
                $0.append("null")
            }
        }
        guard isCopied else { return nil }
        writer.append(",\"namespace\":\"")
        let namespaceRange = writer.range {
            if let name = fields.namespace { $0.append(raw: name) } else { $0.append("/") }
        }
        writer.append("\",\"room\":")
        var roomRange: Range<Int>?
        if let room = fields.room {
            writer.append("\"")
            roomRange = writer.range { $0.append(raw: room) }
            writer.append("\"")
        } else {
            writer.append("null")
        }
        writer.append(",\"skip_sid\":null,\"callback\":null,\"host_id\":")
        let hostRange = writer.range { writer in hostID.withUnsafeBytes { writer.appendString(wtf8: $0) } }
        writer.append("}")
        let parts = OwnEmitParts(
            event: eventRange, namespace: namespaceRange, hostID: hostRange.dropFirst().dropLast(), room: roomRange,
            data: fields.data == nil ? nil : dataRange)
        return (writer.copyBytes(), parts)
    }
}

extension JSONWriter {
    /// The extent of the bytes that `write` appends.
    fileprivate mutating func range(_ write: (inout JSONWriter) -> Void) -> Range<Int> {
        let start = count
        write(&self)
        return start..<count
    }
}

/// The values of a simple body of `POST /emit`, as they are in it.
private struct EmitBody {
    private(set) var secret: UnsafeRawBufferPointer?
    private(set) var event: UnsafeRawBufferPointer?
    /// Nil where it has none: `/`.
    private(set) var namespace: UnsafeRawBufferPointer?
    private(set) var room: UnsafeRawBufferPointer?
    /// The bytes of the value; nil for null.
    private(set) var data: UnsafeRawBufferPointer?
    private var seen: Fields = []

    private struct Fields: OptionSet {
        let rawValue: UInt8
        static let secret = Fields(rawValue: 1), event = Fields(rawValue: 2), namespace = Fields(rawValue: 4)
        static let room = Fields(rawValue: 8), data = Fields(rawValue: 16)
    }

    var byteCount: Int { (namespace?.count ?? 0) + (room?.count ?? 0) + (data?.count ?? 0) }

    /// Nil where something is not simple.
    init?(_ locator: borrowing JSONLocator) {
        for index in 0..<locator.count {
            guard read(index, locator.keyText(at: index), locator) else { return nil }
        }
    }

    private mutating func read(_ index: Int, _ name: UnsafeRawBufferPointer, _ locator: borrowing JSONLocator) -> Bool {
        let value = locator.value(at: index)
        if hasBytes(name, "data") {
            // A list is written in more than one format.
            guard value.kind != .array else { return false }
            if value.kind != .null { data = locator.source(of: value) }
            return insert(.data)
        }
        // The locator has looked at all bytes of these.
        guard value.kind == .unescapedText || value.kind == .null || value.kind == .bool else { return false }
        let text = locator.text(at: index)
        if hasBytes(name, "secret") {
            secret = text
            return insert(.secret)
        }
        if hasBytes(name, "event") {
            event = text
            return insert(.event)
        }
        if hasBytes(name, "room") || hasBytes(name, "to") {
            // Empty means everybody, as null does. A body with both keys has to be parsed.
            if let text, !text.isEmpty { room = text }
            return insert(.room) && value.kind != .bool
        }
        if hasBytes(name, "namespace") {
            if let text, !text.isEmpty { namespace = text }
            return insert(.namespace) && value.kind != .bool && namespace.map { $0.first == UInt8(ascii: "/") } ?? true
        }
        return hasBytes(name, "report") && locator.isFalse(at: index)
    }

    /// False when it was there before.
    private mutating func insert(_ field: Fields) -> Bool { seen.insert(field).inserted }
}
