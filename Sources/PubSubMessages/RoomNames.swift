import Bytes

/// The rooms that messages have named lately, so that a message for one of them takes no memory.
///
/// One place per hash: whoever floods it with names costs the others an allocation each, as without it.
struct RoomNames: ~Copyable {
    private let places: UnsafeMutablePointer<Place>
    private let hash = KeyedHash.ofThisProcess

    private struct Place {
        var name: ByteString
        var rooms: PubSubMessage.Rooms
    }

    private static let capacity = 4096
    /// Longer names aren't kept, which bounds the memory to a megabyte or so.
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
        let place = places + Int(truncatingIfNeeded: hash.hash(of: bytes)) & (Self.capacity - 1)
        if place.pointee.name.hasBytes(bytes) { return place.pointee.rooms }
        let name = ByteString(bytes)
        place.pointee = Place(name: name, rooms: .these([name]))
        return place.pointee.rooms
    }
}
