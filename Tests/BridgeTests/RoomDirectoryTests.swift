import Bytes
import PubSubMessages
import Testing

@testable import Bridge

@Suite struct RoomDirectoryTests {
    /// Two loops: this one has nobody; the other has a client in `/` that is in room `r`.
    private static func directory() -> RoomDirectory {
        let directory = RoomDirectory(loopCount: 2)
        directory.setLocal(RoomRegistry(), loop: 0)
        directory.add(1, namespace: "/", room: nil, loop: 1)
        directory.add(1, namespace: "/", room: "r", loop: 1)
        return directory
    }

    private static func mayReach(_ room: ByteString, of namespace: ByteString = "/") -> Bool {
        var isLocal = false
        let mayReach = room.withUnsafeBytes { directory().mayReach($0, of: namespace, isLocal: &isLocal) }
        #expect(!isLocal)
        return mayReach
    }

    @Test func `a room with reported members may be reached, and a name that looks like a sid`() {
        #expect(Self.mayReach("r") && !Self.mayReach("other"))
        #expect(Self.mayReach(SessionID.make(loop: 1, instance: .init())))
        #expect(Self.mayReach("r", of: "/nowhere"), "counted as an unknown namespace by the route")
    }

    @Test func `an emit goes to the loops that may have members`() {
        let directory = Self.directory()
        let rooms: [PubSubMessage.Rooms] = [.everyone, .these(["r"]), .these(["x", "r"]), .these(["x"]), .these([])]
        #expect(rooms.map { directory.otherLoops(with: $0, of: "/") } == [[1], [1], [1], [], []])
        #expect(directory.otherLoops(with: .everyone, of: "/nowhere") == [])
        let sid = SessionID.make(loop: 1, instance: .init())
        #expect(directory.otherLoops(with: .these([sid]), of: "/") == [1])
    }

    @Test func `a namespace is known while a loop has clients of it`() {
        let directory = Self.directory()
        #expect(directory.isKnown("/") && !directory.isKnown("/nowhere"))
        directory.add(-1, namespace: "/", room: nil, loop: 1)
        #expect(!directory.isKnown("/"))
    }

    @Test func `this loop's rooms are looked up, and reports of it change nothing`() {
        let directory = Self.directory()
        directory.add(1, namespace: "/", room: "mine", loop: 0)
        #expect(!directory.isAnyoneLocal(in: .these(["mine"]), of: "/"))
        #expect(!directory.isAnyone(in: .everyone, of: "/", loop: 0))
    }
}
