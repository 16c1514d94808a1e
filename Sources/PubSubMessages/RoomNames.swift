import JSONCodec

/// The rooms of recent messages, so that a message for one of them allocates nothing.
///
/// One slot per hash: a sender that floods it with names costs the others one allocation each, as without it.
struct RoomNames: ~Copyable {
    private let places: UnsafeMutablePointer<Place>

    private struct Place {
        var name: ByteString
        var rooms: PubSubMessage.Rooms
    }

    private static let capacity = 4096
    /// Longer names aren't kept, which bounds the memory to about a megabyte.
    private static let maximumBytes = 128

    init() {
        places = .allocate(capacity: Self.capacity)
        places.initialize(repeating: Place(name: "", rooms: .these([""])), count: Self.capacity)
    }

    deinit {
        places.deinitialize(count: Self.capacity)
        places.deallocate()
    }

    /// The one room of this name.
    func rooms(named bytes: UnsafeRawBufferPointer) -> PubSubMessage.Rooms {
        guard bytes.count <= Self.maximumBytes else { return .these([ByteString(bytes)]) }
        let place = places + Self.place(of: bytes)
        if place.pointee.name.hasBytes(bytes) { return place.pointee.rooms }
        let name = ByteString(bytes)
        place.pointee = Place(name: name, rooms: .these([name]))
        return place.pointee.rooms
    }

    private static func place(of bytes: UnsafeRawBufferPointer) -> Int {
        var hash = UInt64(truncatingIfNeeded: bytes.count)
        var index = 0
        while index &+ 8 <= bytes.count {
            hash = mixed(hash ^ bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            index &+= 8
        }
        var rest: UInt64 = 0
        while index < bytes.count {
            rest = rest << 8 | UInt64(bytes[index])
            index &+= 1
        }
        return Int(truncatingIfNeeded: mixed(hash ^ rest) >> 40) & (capacity - 1)
    }

    private static func mixed(_ word: UInt64) -> UInt64 {
        let product = word &* 0x9E37_79B9_7F4A_7C15
        return product ^ product >> 29
    }
}
