import ChannelEmitter
import Testing

/// Against a real redis-server.
@Suite(.serialized, .enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .timeLimit(.minutes(2)))
struct RoomSecretTests {
    @Test func `a room-space without a secret gets a random one, which stays`() async throws {
        let server = try await RedisServer.started()
        let emitter = try Emitter("redis://127.0.0.1:\(server.port)/3")
        let secret = try await emitter.roomSecret(of: "dir")
        #expect(secret.count == 64)
        #expect(try await emitter.roomSecret(of: "dir") == secret)
        #expect(try await emitter.roomSecret(of: "other") != secret)
        #expect(try server.command("-n", "3", "GET", "ws-emit::room_secret::dir").contains(secret))
        await emitter.close()
    }

    @Test func `a secret that somebody chose is given as it is`() async throws {
        let server = try await RedisServer.started()
        try server.command("SET", "ws-emit::room_secret::dir", "MySecret ü")
        let emitter = try Emitter("redis://127.0.0.1:\(server.port)")
        #expect(try await emitter.roomSecret(of: "dir") == "MySecret ü")
        await emitter.close()
    }

    @Test func `a key that holds no text is an error that says so`() async throws {
        let server = try await RedisServer.started()
        try server.command("LPUSH", "ws-emit::room_secret::dir", "x")
        let emitter = try Emitter("redis://127.0.0.1:\(server.port)")
        let error = await #expect(throws: EmitterError.self) { try await emitter.roomSecret(of: "dir") }
        #expect(error?.code == .refused && error?.description.contains("WRONGTYPE") == true)
        await emitter.close()
    }
}
