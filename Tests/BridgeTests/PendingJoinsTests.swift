import JSONCodec
import Testing

@testable import Bridge

@Suite struct PendingJoinsTests {
    private static func join(_ room: String, of socket: Socket) throws -> PendingJoin {
        var document = JSONDocument()
        let request = try Array("[\"join\",{\"room\":\"\(room)\"}]".utf8).withUnsafeBytes { bytes in
            try document.parse(bytes)
            return try JoinRequest(arguments: document, maxNameBytes: 100)
        }
        return PendingJoin(request: request, socket: socket, ackID: nil)
    }

    @Test func `a join is taken once`() throws {
        let socket = BridgeHarness().makeSocket()
        var joins = PendingJoins()
        let number = try joins.add(Self.join("a", of: socket), limit: 2)
        let taken = [joins.take(number), joins.take(number)].map { $0?.request.room }
        #expect(taken == ["a", nil] && socket.pendingJoins.isEmpty)
    }

    @Test func `one socket's waiting joins are limited, and each that ends makes room`() throws {
        let harness = BridgeHarness()
        let (full, other) = (harness.makeSocket(), harness.makeSocket())
        var joins = PendingJoins()
        let first = try joins.add(Self.join("a", of: full), limit: 2)
        _ = try joins.add(Self.join("a", of: full), limit: 2)
        #expect(throws: JoinRequest.Refusal.tooManyPendingJoins) { try joins.add(Self.join("b", of: full), limit: 2) }
        _ = try joins.add(Self.join("b", of: other), limit: 2)
        _ = joins.take(first)
        _ = try joins.add(Self.join("b", of: full), limit: 2)
        #expect(full.pendingJoins.count == 2)
    }

    @Test func `a cancelled join counts until it is back`() throws {
        let socket = BridgeHarness().makeSocket()
        var joins = PendingJoins()
        let number = try joins.add(Self.join("a", of: socket), limit: 1)
        #expect(joins.takeAll(of: socket, room: "a").count == 1)
        #expect(throws: JoinRequest.Refusal.tooManyPendingJoins) { try joins.add(Self.join("a", of: socket), limit: 1) }
        #expect(joins.take(number) == nil)
        _ = try joins.add(Self.join("a", of: socket), limit: 1)
    }

    @Test func `joins are cancelled by socket, by socket and room, or by room and namespace, oldest first`() throws {
        let harness = BridgeHarness()
        let (one, two, elsewhere) = (harness.makeSocket(), harness.makeSocket(), harness.makeSocket(in: "/chat"))
        var joins = PendingJoins()
        for (socket, room) in [
            (one, "a::"), (two, "a::"), (elsewhere, "a::"), (one, "b::"), (one, "a::"), (two, "b::"), (two, "public"),
        ] {
            _ = try joins.add(Self.join(room, of: socket), limit: 10)
        }
        #expect(joins.takeAll(of: one, room: "a::").map(\.request.room) == ["a::", "a::"])
        #expect(joins.takeAll(room: "a::", namespace: "/").map { $0.socket === two } == [true])
        #expect(joins.takeAll(room: "b::", namespace: "/").map { $0.socket === one } == [true, false])
        #expect(joins.takeAll(room: "public", namespace: "/").isEmpty)
        #expect(joins.takeAll(of: elsewhere).count == 1 && joins.takeAll(of: one).isEmpty)
    }
}
