import Bytes

/// The indices of an emit's values among the pairs of its message; -1 for a value that is None or missing.
struct EmitLayout: BitwiseCopyable {
    private(set) var event: Int8 = -1
    private(set) var data: Int8 = -1
    private(set) var room: Int8 = -1
    private(set) var hostID: Int8 = -1
    private(set) var namespace: Int8 = -1
    private(set) var skipSID: Int8 = -1
    private(set) var hasBinary = false

    init() {}

    /// Nil for messages that aren't emits for the fast lane, and for those with a duplicate key.
    init?<Walk: MessageWalk>(_ locator: borrowing MessageLocator<Walk>) {
        var seen: UInt16 = 0
        for index in 0..<locator.count {
            guard let key = unsafe Key(locator.keyText(at: index)) else { continue }
            guard seen & key.rawValue == 0 else { return nil }
            seen |= key.rawValue
            let pair = locator[index]
            let isText = pair.kind == .text
            let position = Int8(truncatingIfNeeded: index)
            switch key {
            case .method:
                guard let method = unsafe locator.text(at: index), unsafe hasBytes(method, "emit") else { return nil }
            case .event:
                guard isText else { return nil }
                event = position
            case .data: data = position
            case .namespace:
                // A namespace without its slash is the sender's mistake.
                guard unsafe locator.text(at: index)?.first == UInt8(ascii: "/") else { return nil }
                namespace = position
            case .hostID:
                guard isText else { return nil }
                hostID = position
            case .room:
                if isText {
                    room = position
                } else if pair.kind != .none {
                    return nil
                }
            case .skipSID:
                if isText {
                    skipSID = position
                } else if pair.kind != .none {
                    return nil
                }
            case .callback: guard pair.kind == .none else { return nil }
            case .binary:
                // Bytes have their own type in a pickle, so receivers don't read the key there.
                guard !Walk.isJSON || pair.kind == .false || pair.kind == .none else { return nil }
                hasBinary = true
            case .keep, .key: guard pair.kind == .none else { return nil }
            }
        }
        guard seen & Key.required == Key.required else { return nil }
    }

    /// The indices of the texts that differ from message to message, one bit for each.
    var texts: UInt32 {
        var texts: UInt32 = 0
        for index in [event, room, hostID, skipSID] where index >= 0 { texts |= 1 << UInt32(truncatingIfNeeded: index) }
        return texts
    }

    /// The keys of an emit, one bit for each.
    private enum Key: UInt16 {
        case method = 1, event = 2, data = 4, namespace = 8, hostID = 16, room = 32, skipSID = 64, callback = 128
        case binary = 256
        /// Read by the parser, since few messages have them.
        case keep = 512, key = 1024

        /// The keys that every release of python-socketio writes. A message without `room` is left to the parser, which
        /// looks for a misspelt key.
        static let required: UInt16 = 63

        init?(_ name: UnsafeRawBufferPointer) {
            switch name.count {
            case 3
            where unsafe name[0] == UInt8(ascii: "k") && name[1] == UInt8(ascii: "e") && name[2] == UInt8(ascii: "y"):
                self = .key
            case 4 where unsafe hasBytes(name, "data"): self = .data
            case 4 where unsafe hasBytes(name, "room"): self = .room
            case 4 where unsafe hasBytes(name, "keep"): self = .keep
            case 5 where unsafe hasBytes(name, "event"): self = .event
            case 6 where unsafe hasBytes(name, "method"): self = .method
            case 6 where unsafe hasBytes(name, "binary"): self = .binary
            case 7 where unsafe hasBytes(name, "host_id"): self = .hostID
            case 8 where unsafe hasBytes(name, "skip_sid"): self = .skipSID
            case 8 where unsafe hasBytes(name, "callback"): self = .callback
            case 9 where unsafe hasBytes(name, "namespace"): self = .namespace
            default: return nil
            }
        }
    }
}

/// True if the bytes equal a literal of 4 to 12 bytes. It compares words, since every message has eight keys or more.
@inline(__always) func hasBytes(_ bytes: UnsafeRawBufferPointer, _ literal: StaticString) -> Bool {
    let other = unsafe UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount)
    func areSame(_ offset: Int) -> Bool {
        unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            == other.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    }
    return bytes.count == other.count && areSame(0) && areSame(other.count &- 4) && (other.count <= 8 || areSame(4))
}
