import Bytes

/// The rooms of recent messages, so that a message for one of them allocates nothing.
///
/// One slot per hash: a sender that floods it with names costs the others one allocation each, as without it.
@safe struct RoomNames: ~Copyable {
    private let places: UnsafeMutablePointer<Place>
    private let hash = KeyedHash.ofThisProcess

    private struct Place {
        var name: ByteString
        var rooms: PubSubMessage.Rooms
    }

    private static let capacity = 4096
    /// Longer names aren't kept, which bounds the memory to about a megabyte.
    private static let maximumBytes = 128

    init() {
        unsafe places = .allocate(capacity: Self.capacity)
        unsafe places.initialize(repeating: Place(name: "", rooms: .these([""])), count: Self.capacity)
    }

    deinit {
        unsafe places.deinitialize(count: Self.capacity)
        unsafe places.deallocate()
    }

    /// The one room of this name.
    func rooms(named bytes: UnsafeRawBufferPointer) -> PubSubMessage.Rooms {
        guard bytes.count <= Self.maximumBytes else { return unsafe .these([ByteString(bytes)]) }
        let place = unsafe places + Int(truncatingIfNeeded: hash.hash(of: bytes)) & (Self.capacity - 1)
        if unsafe place.pointee.name.hasBytes(bytes) { return unsafe place.pointee.rooms }
        let name = unsafe ByteString(bytes)
        unsafe place.pointee = Place(name: name, rooms: .these([name]))
        return unsafe place.pointee.rooms
    }
}
