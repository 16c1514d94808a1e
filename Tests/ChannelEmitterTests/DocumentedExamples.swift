import ChannelEmitter
import Testing

/// What docs/emitting.md shows, line by line. (That its lines are these is tested by test_emitters.py.)
@Suite(.serialized, .enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .timeLimit(.minutes(2)))
struct DocumentedExamples {
    @Test func `they compile and publish`() async throws {
        let server = try await RedisServer.started()
        let emitter = try Emitter("redis://localhost:\(server.port)/0")
        let listener = try await ChannelListener("redis://localhost:\(server.port)/0")

        try await emitter.emit("update", ["time": 1], room: "time")

        let servers = try await emitter.emit("update", .object(["time": .int(1)]), room: "time")
        if servers == 0 { print("no server listens on the channel") }

        struct Price: Encodable { var item: String, cents: Int }
        let tea = try EventValue(encoding: Price(item: "tea", cents: 250))
        try await emitter.emit("price", tea, rooms: ["shop", "admins"])
        try await emitter.emit("price", EventValue(json: #"{"item": "tea"}"#), namespace: "/shop")
        let image = EventValue.data([0x89, 0x50, 0x4E, 0x47])
        try await emitter.emit("thumbnail", "tea.png", image, room: "shop", skipSIDs: ["its-sid"])
        try await emitter.closeRoom("shop")

        try await emitter.emit("price", ["sku": "tea", "cents": 250], room: "shop", keep: .seconds(3600), key: "tea")
        try await emitter.emit("price", room: "shop", keep: .no, key: "tea")

        let published = await listener.next(8)
        #expect(
            published[0] == published[1] && published[0].contains(#""data":{"time":1},"namespace":"/","room":"time""#))
        #expect(published[2].contains(#""data":{"item":"tea","cents":250},"namespace":"/","room":["shop","admins"]"#))
        #expect(published[3].contains(#""data":{"item":"tea"},"namespace":"/shop","room":null"#))
        #expect(published[4].contains(#""data":[["tea.png",{"_placeholder":true,"num":0}],"iVBORw=="],"binary":true"#))

        #expect(
            published[6].hasSuffix(#""keep":3600,"key":"tea""#) && published[7].hasSuffix(#""keep":false,"key":"tea""#))

        await emitter.close()
        do {
            try await emitter.emit("update", ["time": 1], room: "time")
        } catch {
            print(error, error.code == .unreachable, error.mayHaveBeenPublished)
        }

        let pickling = try Emitter("redis://localhost:6379/0", format: .pickle(protocol: 2))
        await pickling.close()
        try await listener.close()
    }
}
