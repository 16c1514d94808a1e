import Bytes
import Testing

@testable import Bridge

@Suite struct RoomRegistryTests {
    /// What the registry should know, kept the plain way.
    private struct Model {
        var rooms: [Int: Set<ByteString>] = [:]

        func members(of room: ByteString) -> Set<Int> {
            Set(rooms.filter { $0.value.contains(room) }.keys)
        }
    }

    /// Every member knows its place in its room and every socket its place in each member list.
    private static func expectConsistent(_ namespace: Namespace, sourceLocation: SourceLocation = #_sourceLocation) {
        for room in Array(namespace.rooms.values) + [namespace.everyone] {
            for (index, member) in room.members.enumerated() {
                let membership = member.socket.memberships[member.slot]
                #expect(membership.room === room && membership.index == index, sourceLocation: sourceLocation)
            }
        }
        for socket in namespace.sockets.values {
            for (slot, membership) in socket.memberships.enumerated() {
                let member = membership.room.members[membership.index]
                #expect(member.socket === socket && member.slot == slot, sourceLocation: sourceLocation)
            }
        }
    }

    @Test(arguments: 0..<8)
    func `any sequence of operations agrees with a plain model`(seed: Int) throws {
        var generator = SplitMix(state: UInt64(seed))
        let harness = BridgeHarness()
        let registry = harness.shard.registry
        let rooms = (0..<6).map { ByteString("room\($0)") }
        let keeper = harness.makeSocket()
        let namespace = keeper.namespace
        var sockets: [Int: Socket] = [:]
        var model = Model()
        var alive: Set<ByteString> = []
        registry.changed = { change in
            guard let room = change.room else { return }
            if change.isAlive { #expect(alive.insert(room).inserted) } else { #expect(alive.remove(room) != nil) }
        }
        for step in 0..<600 {
            let number = Int.random(in: 0..<12, using: &generator)
            let room = rooms[Int.random(in: 0..<rooms.count, using: &generator)]
            switch Int.random(in: 0..<10, using: &generator) {
            case 0:
                guard sockets[number] == nil else { break }
                sockets[number] = harness.makeSocket()
                model.rooms[number] = []
            case 1:
                guard let socket = sockets.removeValue(forKey: number) else { break }
                registry.disconnect(socket)
                registry.disconnect(socket)
                #expect(socket.isDisconnected)
                model.rooms[number] = nil
            case 2:
                registry.close(room: room, namespace: "/")
                for key in model.rooms.keys { model.rooms[key]?.remove(room) }
            case 3...4:
                guard let socket = sockets[number] else { break }
                registry.leave(socket, room: room)
                model.rooms[number]?.remove(room)
            default:
                guard let socket = sockets[number] else { break }
                let isNew = model.members(of: room).isEmpty
                #expect(registry.enter(socket, room: room) == isNew)
                model.rooms[number]?.insert(room)
            }
            if step % 20 == 0 { Self.expectConsistent(namespace) }
            for room in rooms {
                let expected = Set(model.members(of: room).compactMap { sockets[$0].map(ObjectIdentifier.init) })
                let found = (namespace.rooms[room]?.members ?? []).map { ObjectIdentifier($0.socket) }
                try #require(Set(found) == expected && found.count == expected.count)
                #expect(alive.contains(room) == !expected.isEmpty)
                #expect(namespace.isAnyone(named: room) == !expected.isEmpty)
            }
            #expect(namespace.everyone.members.count == sockets.count + 1)
        }
        Self.expectConsistent(namespace)
    }

    @Test func `a namespace lives from its first socket to its last`() {
        let harness = BridgeHarness()
        let registry = harness.shard.registry
        var changes: [String] = []
        registry.changed = { changes.append("\($0.namespace) \($0.room?.description ?? "-") \($0.isAlive)") }
        let first = harness.makeSocket(in: "/a")
        let second = harness.makeSocket(in: "/a")
        registry.enter(first, room: "r")
        registry.enter(first, room: "r")
        registry.disconnect(second)
        registry.disconnect(first)
        #expect(changes == ["/a - true", "/a r true", "/a r false", "/a - false"])
        #expect(registry.namespaces.isEmpty)
    }

    @Test func `rooms of the same name in two namespaces are two rooms`() {
        let harness = BridgeHarness()
        let registry = harness.shard.registry
        let (first, second) = (harness.makeSocket(in: "/a"), harness.makeSocket(in: "/b"))
        registry.enter(first, room: "r")
        #expect(!second.namespace.isAnyone(named: "r"))
        registry.close(room: "r", namespace: "/b")
        #expect(first.namespace.isAnyone(named: "r"))
    }

    @Test func `a sid is a room of one that nobody can close`() {
        let harness = BridgeHarness()
        let socket = harness.makeSocket()
        #expect(socket.namespace.isAnyone(named: socket.sid))
        harness.shard.registry.close(room: socket.sid, namespace: "/")
        #expect(socket.namespace.isAnyone(named: socket.sid))
    }

    @Test func `names that look alike are different rooms`() {
        let harness = BridgeHarness()
        let socket = harness.makeSocket()
        harness.shard.registry.enter(socket, room: "\u{E9}")
        #expect(!socket.namespace.isAnyone(named: "e\u{301}"))
    }

    @Test func `leaving doesn't search the room`() {
        let harness = BridgeHarness()
        let registry = harness.shard.registry
        let sockets = (0..<20_000).map { _ in harness.makeSocket() }
        let clock = ContinuousClock()
        for socket in sockets { registry.enter(socket, room: "large") }
        let time = clock.measure { for socket in sockets { registry.leave(socket, room: "large") } }
        // 20,000 searches of 20,000 members would take minutes here.
        #expect(time < .seconds(5))
        #expect(sockets[0].namespace.rooms.isEmpty)
    }
}

extension Namespace {
    fileprivate func isAnyone(named room: ByteString) -> Bool { room.withUnsafeBytes { isAnyone(in: $0) } }
}

/// Random numbers that a seed repeats.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
