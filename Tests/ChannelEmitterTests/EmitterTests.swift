import ChannelEmitter
import Foundation
import Testing

/// Against a real redis-server.
@Suite(.serialized, .enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .timeLimit(.minutes(2)))
struct EmitterTests {
    @Test func `events arrive in order on the channel, by TCP and by unix socket, and the subscribers are counted`()
        async throws
    {
        let server = try await RedisServer.started()
        for url in ["redis://127.0.0.1:\(server.port)/3", "unix://\(server.socket)"] {
            let emitter = try Emitter(url)
            #expect(try await emitter.emit("early", room: "time") == 0)
            let listener = try await ChannelListener(url)
            #expect(try await emitter.emit("update", ["time": 1], room: "time") == 1)
            #expect(try await emitter.emit("ping", rooms: ["a", "b"], namespace: "/chat", skipSIDs: ["s"]) == 1)
            #expect(try await emitter.emit("all", arguments: [1, "x"], rooms: nil) == 1)
            #expect(try await emitter.closeRoom("r") == 1)
            #expect(
                await listener.next(4) == [
                    #"{"method":"emit","event":"update","data":{"time":1},"namespace":"/","room":"time","skip_sid":null,"callback":null"#,
                    #"{"method":"emit","event":"ping","data":null,"namespace":"/chat","room":["a","b"],"skip_sid":"s","callback":null"#,
                    #"{"method":"emit","event":"all","data":[1,"x"],"binary":false,"namespace":"/","room":null,"skip_sid":null,"callback":null"#,
                    #"{"method":"close_room","room":"r","namespace":"/""#,
                ])
            await emitter.close()
            try await listener.close()
        }
    }

    @Test func `keep and key are published`() async throws {
        let server = try await RedisServer.started()
        let url = "redis://127.0.0.1:\(server.port)"
        let (emitter, listener) = (try Emitter(url), try await ChannelListener(url))
        for keep in [.yes, .no, .seconds(60), .duration(.milliseconds(1500))] as [Keep] {
            try await emitter.emit("e", room: "r", keep: keep)
        }
        try await emitter.emit("e", rooms: ["r"], keep: .yes, key: "tea")
        try await emitter.emit("e", keep: .no, key: "tea")
        let keys = await listener.next(6).map { $0.components(separatedBy: #""callback":null"#).last }
        #expect(
            keys == [
                #","keep":true"#, #","keep":false"#, #","keep":60"#, #","keep":1.5"#, #","keep":true,"key":"tea""#,
                #","keep":false,"key":"tea""#,
            ])
        await emitter.close()
        try await listener.close()
    }

    @Test func `another channel, and pickles`() async throws {
        let server = try await RedisServer.started()
        let url = "redis://127.0.0.1:\(server.port)"
        let listener = try await ChannelListener(url, channel: "socketio")
        let emitter = try Emitter(url, channel: "socketio", format: .pickle(protocol: 0))
        #expect(try await emitter.disconnect(sid: "s") == 1)
        #expect(try #require(await listener.next().first).hasPrefix("(dVmethod\nVdisconnect\ns"))
        try await listener.close()
    }

    @Test func `many tasks share one connection`() async throws {
        let server = try await RedisServer.started()
        let emitter = try Emitter("redis://127.0.0.1:\(server.port)")
        try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<500 { group.addTask { try await emitter.emit("n", .int(number), room: "r") } }
            for try await count in group { #expect(count == 0) }
        }
        let stats = try server.command("INFO", "stats", "clients")
        #expect(stats.contains("total_connections_received:2\r") && stats.contains("connected_clients:2\r"))
        await emitter.close()
    }

    @Test func `an emitter that is dropped closes its connection`() async throws {
        let server = try await RedisServer.started()
        try await Emitter("redis://127.0.0.1:\(server.port)").emit("x")
        while !(try server.command("INFO", "clients").contains("connected_clients:1\r")) {}
    }

    @Test func `a message given before Redis is there is published when it comes`() async throws {
        let server = try RedisServer()
        let emitter = try Emitter("redis://127.0.0.1:\(server.port)", timeout: .seconds(100))
        async let early = emitter.emit("early", room: "r")
        try await server.start()
        #expect(try await early == 0)
        server.kill9()
        async let meanwhile = emitter.emit("meanwhile", room: "r")
        try await server.start()
        // Either it found no connection, and waited, or it went down with the old one, which is said.
        do {
            #expect(try await meanwhile == 0)
        } catch let error as EmitterError {
            #expect(error.code == .unanswered && error.mayHaveBeenPublished)
        }
        #expect(try await emitter.emit("after", room: "r") == 0)
        await emitter.close()
    }

    @Test func `a Redis that isn't there is said in one sentence`() async throws {
        let server = try RedisServer()
        let emitter = try Emitter("redis://:hidden@127.0.0.1:\(server.port)", timeout: .milliseconds(200))
        let error = await #expect(throws: EmitterError.self) { try await emitter.emit("x") }
        #expect(error?.code == .unreachable && error?.mayHaveBeenPublished == false)
        #expect(
            error?.description.hasPrefix("Redis can't be reached: ") == true
                || error?.description == "there is no connection to Redis at present")
        await emitter.close()
    }

    @Test func `a Redis that hangs costs no more than the timeout`() async throws {
        let server = try await RedisServer.started()
        let emitter = try Emitter("redis://127.0.0.1:\(server.port)", timeout: .seconds(2))
        try await emitter.emit("x")
        server.send(SIGSTOP)
        let error = await #expect(throws: EmitterError.self) { try await emitter.emit("x") }
        #expect(error?.code == .unanswered && error?.mayHaveBeenPublished == true)
        #expect(error?.description.hasSuffix("the message may or may not have been published") == true)
        server.send(SIGCONT)
        await emitter.close()
    }

    @Test func `more messages than may wait are refused at once`() async throws {
        let server = try await RedisServer.started()
        let emitter = try Emitter("redis://127.0.0.1:\(server.port)", timeout: .seconds(100), maximumPending: 2)
        try await emitter.emit("x")
        server.send(SIGSTOP)
        let codes = await withTaskGroup(of: EmitterError.Code?.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    let result = await Result(catching: { try await emitter.emit("x") })
                    if case .failure(let error as EmitterError) = result { return error.code }
                    return nil
                }
            }
            // The first answer is the refusal, since the server stands still.
            let first = await group.next() ?? nil
            server.send(SIGCONT)
            return await group.reduce(into: [first]) { $0.append($1) }
        }
        #expect(codes == [.tooManyPending, nil, nil])
        await emitter.close()
    }

    @Test func `a refused login and a refused channel are said, without the password`() async throws {
        let server = try await RedisServer.started(options: ["--requirepass", "right"])
        let emitter = try Emitter("redis://:wrong-one@127.0.0.1:\(server.port)")
        let error = await #expect(throws: EmitterError.self) { try await emitter.emit("x") }
        #expect(error?.code == .refused)
        #expect(
            error?.description.hasPrefix("Redis refused AUTH: ") == true
                && error?.description.contains("wrong-one") == false)
        try server.command("-a", "right", "ACL", "SETUSER", "u", "on", ">p", "+@all", "resetchannels", "&other")
        let limited = try Emitter("redis://u:p@127.0.0.1:\(server.port)")
        let refusal = await #expect(throws: EmitterError.self) { try await limited.emit("x") }
        #expect(refusal?.code == .refused && refusal?.description.hasPrefix("Redis refused PUBLISH: NOPERM") == true)
        #expect(try await Emitter("redis://:right@127.0.0.1:\(server.port)").emit("x") == 0)
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl"), "openssl is not installed"))
    func `a Redis that speaks TLS is believed by its certificate`() async throws {
        let folder = try RedisServer().folder
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (certificate, key) = (folder + "/server.pem", folder + "/server.key")
        let openssl = Process()
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        openssl.arguments =
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost".split(
                separator: " "
            ).map(String.init) + ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
        openssl.standardError = Pipe()
        try openssl.run()
        openssl.waitUntilExit()
        let port = try RedisServer().port
        let server = try await RedisServer.started(options: [
            "--tls-port", "\(port)", "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no",
            "--tls-ca-cert-file", certificate,
        ])
        let emitter = try Emitter("rediss://127.0.0.1:\(port)?ssl_ca_certs=\(certificate)")
        #expect(try await emitter.emit("x") == 0)
        let doubtful = try Emitter("rediss://127.0.0.1:\(port)")
        let error = await #expect(throws: EmitterError.self) { try await doubtful.emit("x") }
        #expect(error?.code == .unreachable && error?.description.contains("TLS") == true)
        server.kill9()
    }

    @Test func `a closed emitter says so, also one that was never used`() async throws {
        let emitter = try Emitter("redis://127.0.0.1:1")
        await emitter.close()
        await emitter.close()
        let error = await #expect(throws: EmitterError.self) { try await emitter.emit("x") }
        #expect(error?.code == .closed && error?.description == "the emitter has been closed")
    }

    @Test func `what makes no sense is refused before anything is sent`() async throws {
        for (make, sentence) in [
            ({ try Emitter("http://:pw@x") }, "the scheme http://"), ({ try Emitter("redis://:pw@h:x") }, "the port"),
            ({ try Emitter(format: .pickle(protocol: 6)) }, "there is no pickle protocol 6"),
            ({ try Emitter(channel: "") }, "the channel is empty"), ({ try Emitter(timeout: .zero) }, "the timeout"),
            ({ try Emitter(maximumPending: 0) }, "the timeout"),
        ] as [(() throws -> Emitter, String)] {
            let error = #expect(throws: EmitterError.self) { _ = try make() }
            #expect(error?.code == .invalidConfiguration && error?.description.hasPrefix(sentence) == true)
        }
        var nested: EventValue = []
        for _ in 0..<600 { nested = [nested] }
        let deep = nested
        let emitter = try Emitter("redis://127.0.0.1:1")
        for (emit, sentence) in [
            ({ try await emitter.emit("x", room: "") }, "the room is an empty text"),
            ({ try await emitter.emit("x", rooms: []) }, "the list of rooms is empty"),
            ({ try await emitter.emit("x", rooms: ["a", ""]) }, "the room is an empty text"),
            ({ try await emitter.emit("x", namespace: "chat") }, "the namespace chat does not begin with a slash"),
            ({ try await emitter.emit("x", deep) }, "an argument is nested in more than 512"),
            ({ try await emitter.emit("x", .data([UInt8](repeating: 0, count: 17 << 20))) }, "the message has "),
            ({ try await emitter.emit("x", keep: .yes) }, "a message for everybody can't be kept"),
            (
                { try await emitter.emit("x", room: "r", keep: .seconds(0)) },
                "the time to keep the message must be above 0"
            ),
            (
                { try await emitter.emit("x", room: "r", key: String(repeating: "é", count: 513)) },
                "the key has 1026 bytes, more than 1024"
            ),
            ({ try await emitter.closeRoom("") }, "the room is an empty text"),
            ({ try await emitter.enterRoom("r", sid: "") }, "the sid is an empty text"),
            ({ try await emitter.leaveRoom("", sid: "s") }, "the room is an empty text"),
            ({ try await emitter.disconnect(sid: "") }, "the sid is an empty text"),
        ] as [(() async throws -> Int, String)] {
            let error = await #expect(throws: EmitterError.self) { _ = try await emit() }
            #expect(error?.code == .invalidMessage && error?.description.hasPrefix(sentence) == true, "\(sentence)")
        }
    }
}

extension Result where Failure == any Error {
    init(catching body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
