import Bytes
import JSONCodec
import NIOCore
import PubSubMessages

/// A kept message as it is stored in Redis: one field of a hash.
///
///     field:  1:/,5:goods,5:price,3:A-1,          namespace, room, event, key, each with its length
///     value:  version │ stamp │ expires │ JSON length │ attachments │ length of each │ JSON │ attachments
///             1 byte    8       8         4             4             4
///
/// Numbers are big-endian. Others may write to Redis too, so everything is checked when it is read.
struct StoredValue: Equatable {
    static let version: UInt8 = 1
    /// The part before the content: values with equal content are the same message, whoever stamped it.
    static let headBytes = 17
    /// Longer names aren't stored.
    static let maximumFieldBytes = 64 << 10
    static let maximumAttachments = 1000
    /// Milliseconds since 1970 of the year 9999.
    private static let latestTime: Int64 = 253_370_764_800_000

    let stamp: Int64
    let expires: Int64
    /// `["event",…]`
    let event: EventBody

    // MARK: Value

    /// Nil if the bytes are no value that we would have written.
    init?(_ bytes: [UInt8]) {
        var reader = Reader(rest: bytes[...])
        guard reader.byte() == Self.version, let stamp = reader.integer(bytes: 8),
            let expires = reader.integer(bytes: 8),
            let jsonLength = reader.integer(bytes: 4), let count = reader.integer(bytes: 4), stamp > 0,
            stamp < Self.latestTime, expires > 0, expires < Self.latestTime, count <= Self.maximumAttachments
        else { return nil }
        var lengths: [Int] = []
        for _ in 0..<count {
            guard let length = reader.integer(bytes: 4) else { return nil }
            lengths.append(Int(length))
        }
        guard let json = reader.bytes(Int(jsonLength)) else { return nil }
        var attachments: [[UInt8]] = []
        for length in lengths {
            guard let attachment = reader.bytes(length) else { return nil }
            attachments.append(Array(attachment))
        }
        guard reader.rest.isEmpty, Self.isEvent(json, attachmentCount: attachments.count) else { return nil }
        (self.stamp, self.expires) = (stamp, expires)
        event = EventBody(json: Array(json), attachments: attachments)
    }

    /// The bytes of a kept packet; nil if it isn't a single event.
    static func encode(_ packet: EncodedPacket, namespace: ByteString, stamp: Int64, expires: Int64) -> [UInt8]? {
        guard let json = packet.eventJSON(namespace: namespace) else { return nil }
        let attachments = (1..<packet.partCount).compactMap { packet.content(ofPart: $0)?.readableBytesView }
        guard attachments.count <= maximumAttachments else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(headBytes + 8 + packet.byteCount)
        bytes.append(version)
        append(stamp, count: 8, to: &bytes)
        append(expires, count: 8, to: &bytes)
        append(Int64(json.count), count: 4, to: &bytes)
        append(Int64(attachments.count), count: 4, to: &bytes)
        for attachment in attachments { append(Int64(attachment.count), count: 4, to: &bytes) }
        bytes.append(contentsOf: json)
        for attachment in attachments { bytes.append(contentsOf: attachment) }
        return bytes
    }

    /// True if both values hold the same message.
    static func areSameMessage(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.dropFirst(headBytes) == right.dropFirst(headBytes)
    }

    func packet(
        namespace: ByteString, scratch: inout JSONWriter, treatment: (EncodedEvent) -> WaitTreatment
    ) -> EncodedPacket {
        event.withEncodedEvent { event in
            PacketBuilder(event, namespace: namespace, scratch: &scratch).build(treatment(event))
        }
    }

    /// True if a client can read it as an event: JSON in UTF-8 that begins with a text, and placeholders of attachments that exist.
    private static func isEvent(_ json: ArraySlice<UInt8>, attachmentCount: Int) -> Bool {
        // A NUL is part of no JSON in UTF-8, and makes the parser take it for UTF-16.
        guard json.first == UInt8(ascii: "["), json.last == UInt8(ascii: "]"), !json.contains(0), isUTF8(json) else {
            return false
        }
        return unsafe json.withUnsafeBytes { bytes in
            var document = JSONDocument()
            do {
                try unsafe document.parse(bytes)
            } catch {
                return false
            }
            guard let name = document.elements(of: document.root).first(where: { _ in true }),
                document.kind(of: name) == .string
            else { return false }
            return attachmentCount == 0 || hasPlaceholders(document, upTo: attachmentCount)
        }
    }

    private static func isUTF8(_ bytes: ArraySlice<UInt8>) -> Bool {
        unsafe bytes.withUnsafeBufferPointer { unsafe String(validating: $0, as: UTF8.self) != nil }
    }

    /// Clients end the connection if a placeholder names no attachment.
    private static func hasPlaceholders(_ document: borrowing JSONDocument, upTo count: Int) -> Bool {
        var isFine = true
        forEachNode(of: document) { document, node in
            guard let mark = document.value(forKey: "_placeholder", in: node), document.bool(mark) == true else {
                return
            }
            guard let number = document.value(forKey: "num", in: node).flatMap({ document.int64($0) }),
                (0..<Int64(count)).contains(number)
            else { return isFine = false }
        }
        return isFine
    }

    /// Visits every value, without recursion: nesting is the writer's choice.
    private static func forEachNode(
        of document: borrowing JSONDocument, _ body: (borrowing JSONDocument, JSONDocument.Node) -> Void
    ) {
        var open = [document.root]
        while let node = open.popLast() {
            body(document, node)
            for element in document.elements(of: node) { open.append(element) }
            for member in document.members(of: node) { open.append(member.value) }
        }
    }

    private static func append(_ number: Int64, count: Int, to bytes: inout [UInt8]) {
        for shift in stride(from: (count - 1) * 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> Int64(shift)))
        }
    }

    // MARK: Field

    /// The field of a slot; nil if its names can't be stored.
    static func field(of slot: KeptMessages.Slot) -> [UInt8]? {
        let names = (slot.namespace, slot.room, slot.event, slot.key)
        var field: [UInt8] = []
        field.reserveCapacity(names.0.count + names.1.count + names.2.count + names.3.count + 32)
        append(names.0, to: &field)
        append(names.1, to: &field)
        append(names.2, to: &field)
        append(names.3, to: &field)
        return field.count <= maximumFieldBytes && isNamespace(slot.namespace) ? field : nil
    }

    private static func append(_ name: ByteString, to field: inout [UInt8]) {
        if name.count < 10 {
            field.append(UInt8(ascii: "0") + UInt8(name.count))
        } else {
            field += "\(name.count)".utf8
        }
        field.append(UInt8(ascii: ":"))
        field += name.bytes
        field.append(UInt8(ascii: ","))
    }

    static func slot(ofField field: [UInt8]) -> KeptMessages.Slot? {
        guard field.count <= maximumFieldBytes else { return nil }
        var reader = Reader(rest: field[...])
        var names: [ByteString] = []
        for _ in 0..<4 {
            guard let length = reader.decimal(), let name = reader.bytes(length), reader.byte() == UInt8(ascii: ",")
            else {
                return nil
            }
            names.append(ByteString(bytes: name))
        }
        guard reader.rest.isEmpty, isNamespace(names[0]) else { return nil }
        return KeptMessages.Slot(namespace: names[0], room: names[1], event: names[2], key: names[3])
    }

    /// Stands unquoted in a packet, before a comma.
    private static func isNamespace(_ name: ByteString) -> Bool {
        name.bytes.first == UInt8(ascii: "/") && !name.bytes.contains { $0 == UInt8(ascii: ",") || $0 < 0x20 }
            && isUTF8(name.bytes[...])
    }

    /// Takes bytes from the front, and fails where there aren't enough.
    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func byte() -> UInt8? { rest.popFirst() }

        mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
            guard count >= 0, count <= rest.count else { return nil }
            defer { rest.removeFirst(count) }
            return rest.prefix(count)
        }

        mutating func integer(bytes count: Int) -> Int64? {
            bytes(count)?.reduce(0) { $0 << 8 | Int64($1) }
        }

        /// Digits and a colon.
        mutating func decimal() -> Int? {
            var number = 0
            var digits = 0
            while let byte = rest.popFirst() {
                if byte == UInt8(ascii: ":") { return digits > 0 ? number : nil }
                guard (0x30...0x39).contains(byte), digits < 7 else { return nil }
                number = number * 10 + Int(byte - 0x30)
                digits += 1
            }
            return nil
        }
    }
}
