import NIOCore
import Testing

@testable import RedisPubSub

@Suite struct RedisHandshakeTests {
    private static func handshake(
        _ url: String = "redis://h", channels: [String] = [], patterns: [String] = [], wantsMaster: Bool = false
    ) throws -> RedisHandshake {
        RedisHandshake(
            url: try RedisURL(url), channels: channels, patterns: patterns, wantsMaster: wantsMaster,
            rights: RedisRights(user: Array("me".utf8), channels: channels))
    }

    private static func words(_ buffer: ByteBuffer) -> String {
        String(buffer: buffer).split(separator: "\r\n").filter { !"*$".contains($0.first ?? " ") }
            .joined(separator: " ")
    }

    @Test(
        arguments: [
            ("redis://h", [], false, "PING"),
            ("redis://:pw@h/3", [], false, "AUTH pw SELECT 3"),
            ("redis://me:pw@h?client_name=us", [], true, "AUTH me pw CLIENT SETNAME us ROLE PING"),
            ("redis://:pw@h/3", ["a", "b"], true, "AUTH pw ROLE CLIENT ID SUBSCRIBE a b PSUBSCRIBE p*"),
        ] as [(String, [String], Bool, String)])
    func `only the commands that are needed are sent`(
        _ url: String, _ channels: [String], _ wantsMaster: Bool, _ expected: String
    ) throws {
        let patterns = channels.isEmpty ? [] : ["p*"]
        let handshake = try Self.handshake(url, channels: channels, patterns: patterns, wantsMaster: wantsMaster)
        #expect(Self.words(handshake.commands) == expected)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var url = "redis://h"
        var channels: [String] = []
        var wantsMaster = false
        let replies: [RedisReply]
        let action: RedisHandshake.Action
    }

    private static let tooMany = "ERR max number of clients reached"
    private static let master = RedisReply.texts([ByteBuffer(string: "master"), ByteBuffer(string: "0")])
    private static let replica = RedisReply.texts([ByteBuffer(string: "slave")])

    static let cases: [Case] = [
        .init(testDescription: "a reply to PING", replies: [.status], action: .ready),
        .init(testDescription: "PONG as a bulk string", replies: [.bulk(ByteBuffer(string: "PONG"))], action: .ready),
        .init(testDescription: "no right to PING", replies: [.error("NOPERM no")], action: .ready),
        .init(testDescription: "loading", replies: [.error("LOADING Redis is loading")], action: .ready),
        .init(
            testDescription: "no login", replies: [.error("NOAUTH Authentication required.")],
            action: .close(.refused(command: .ping, message: "NOAUTH Authentication required."))),
        .init(testDescription: "login before SELECT", url: "redis://:x@h/1", replies: [.status], action: .wait),
        .init(
            testDescription: "login and SELECT", url: "redis://:x@h/1", replies: [.status, .status], action: .ready),
        .init(
            testDescription: "wrong password", url: "redis://:x@h", replies: [.error("WRONGPASS x")],
            action: .close(.refused(command: .auth, message: "WRONGPASS x"))),
        .init(
            testDescription: "no such database", url: "redis://h/99", replies: [.error("ERR DB index is out of range")],
            action: .close(.refused(command: .select, message: "ERR DB index is out of range"))),
        .init(
            testDescription: "no right to SELECT", url: "redis://h/9", replies: [.error("NOPERM x")],
            action: .close(
                .refused(
                    command: .select, message: "NOPERM x; permit it with: redis-cli ACL SETUSER me +select"))),
        .init(testDescription: "a master", wantsMaster: true, replies: [master, .status], action: .ready),
        .init(
            testDescription: "a replica", wantsMaster: true, replies: [replica],
            action: .close(.notMaster(endpoint: "h:1"))),
        .init(
            testDescription: "no right to ROLE", wantsMaster: true, replies: [.error("NOPERM x"), .status],
            action: .ready),
        .init(
            testDescription: "no right to name the client", url: "redis://h?client_name=us",
            replies: [.error("NOPERM x"), .status], action: .ready),
        .init(
            testDescription: "too many clients", wantsMaster: true, replies: [.error(tooMany)],
            action: .close(.broken(reason: tooMany))),
        .init(
            testDescription: "a reply that fits no PING", replies: [.integer(1)], action: .close(.mismatchedReply)),
        .init(
            testDescription: "one of two channels", channels: ["a", "b"], replies: [.integer(7), .subscribed],
            action: .wait),
        .init(
            testDescription: "both channels", channels: ["a", "b"], replies: [.integer(7), .subscribed, .subscribed],
            action: .ready),
        .init(
            testDescription: "no CLIENT ID", channels: ["a"], replies: [.error("ERR unknown command"), .subscribed],
            action: .ready),
        .init(
            testDescription: "no right to the channel", channels: ["a"], replies: [.integer(7), .error("NOPERM x")],
            action: .close(
                .refused(
                    command: .subscribe,
                    message: "NOPERM x; permit it with: redis-cli ACL SETUSER me '&a' +@pubsub +ping"))),
        .init(
            testDescription: "a PONG between", channels: ["a"], replies: [.integer(7), .pong, .subscribed],
            action: .ready),
        .init(
            testDescription: "a reply to nothing", channels: ["a"], replies: [.integer(7), .status],
            action: .close(.unexpectedReply)),
    ]

    @Test(arguments: cases) func `replies decide whether the connection is ready`(_ row: Case) throws {
        var handshake = try Self.handshake(row.url, channels: row.channels, wantsMaster: row.wantsMaster)
        let actions = row.replies.map { handshake.received($0, from: .tcp(host: "h", port: 1)) }
        #expect(actions.last == row.action)
        #expect(actions.dropLast().allSatisfy { $0 == .wait })
    }

    @Test func `a subscription learns its number and expects only confirmations then`() throws {
        var handshake = try Self.handshake("redis://:x@h", channels: ["a"])
        _ = handshake.received(.status, from: nil)
        #expect(handshake.expectsReply && handshake.clientID == nil)
        _ = handshake.received(.integer(7), from: nil)
        #expect(!handshake.expectsReply && handshake.clientID == 7)
    }
}
