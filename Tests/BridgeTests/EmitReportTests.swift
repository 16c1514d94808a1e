import Bytes
import RedisPubSub
import Testing

@testable import Bridge

/// Reports of `POST /emit` with `"report": true`.
@Suite struct EmitReportTests {
    private static func report(
        _ bridge: ChannelHarness, room: String? = nil, namespace: String = "/", data: String = "1"
    ) throws -> EmitReport {
        let message = ChannelHarness.message([
            "room": room ?? "null", "namespace": "\"\(namespace)\"", "data": data,
            "host_id": #""0123456789abcdef0123456789abcdef""#,
        ])
        var report: EmitReport?
        try bridge.router.emitReporting(Array(message.utf8)).assumeIsolated().whenSuccess { report = $0 }
        bridge.run()
        return try #require(report)
    }

    @Test func `each client reached counts once, on all event loops`() throws {
        let bridge = ChannelHarness(loopCount: 2)
        let clients = [0, 1, 1].map { bridge.client(loop: $0, in: "a", "b") }
        let report = try Self.report(bridge, room: #"["a","b","\#(clients[0].sid)"]"#)
        #expect(
            report.json.line == #"{"matched":3,"queued":3,"skipped":{"skip_sid":0,"slow_client":0},"published":true,"#
                + #""redis_subscribers":1,"kept":0,"reasons":[]}"# + "\n")
        for client in clients { #expect(client.packets() == [#"42["x",1]"#]) }
    }

    @Test(arguments: [
        ("tmie", "time"), ("Time", "time"), (" time", "time"), ("times", "time"), ("report", "x::report"),
    ])
    func `an empty room is reported with the names that were probably meant`(wanted: String, existing: String) throws {
        let bridge = ChannelHarness(loopCount: 2)
        bridge.broker.values = [Array("ws-emit::room_secret::x".utf8): .success(.init(string: "s"))]
        let client = bridge.client(loop: 1, in: "quite-another")
        client.send(#"42["join",{"room":"\#(existing)","secret":"s"}]"#)
        let report = try Self.report(bridge, room: "\"\(wanted)\"")
        #expect(report.sum.matched == 0 && report.sum.queued == 0)
        let reason = try #require(report.reasons.first)
        #expect(report.reasons.count == 1 && reason.code == "nobody_in_room" && reason.room == ByteString(wanted))
        #expect(reason.similar == [ByteString(existing)] && reason.text.contains(existing))
        #expect(bridge.counters.drops[.nobodyInRoom] == 1)
    }

    @Test func `an empty room of a list is reported though others were reached`() throws {
        let bridge = ChannelHarness()
        let client = bridge.client(in: "a")
        let report = try Self.report(bridge, room: #"["a","empty"]"#)
        #expect(report.sum.matched == 1 && report.reasons.map(\.room) == ["empty"])
        #expect(client.packets() == [#"42["x",1]"#])
    }

    @Test func `an unknown namespace is reported with those that have clients, and so is the room in another one`()
        throws
    {
        let bridge = ChannelHarness(loopCount: 2)
        #expect(
            try Self.report(bridge, room: #""a""#).reasons.first?.text.contains("nobody is connected at all") == true)
        _ = bridge.client(loop: 0)
        _ = bridge.client(loop: 1, in: "a", namespace: "/chat")
        let unknown = try Self.report(bridge, room: #""a""#, namespace: "/caht")
        #expect(unknown.reasons.map(\.code) == ["no_such_namespace"])
        #expect(unknown.reasons[0].text.contains("/, /chat"))
        let elsewhere = try Self.report(bridge, room: #""a""#)
        #expect(elsewhere.reasons.map(\.code) == ["nobody_in_room"])
        #expect(elsewhere.reasons[0].text.contains("members in /chat"))
        #expect(bridge.counters.drops[.noSuchNamespace] == 2 && bridge.counters.drops[.nobodyInRoom] == 1)
    }

    @Test func `a namespace that clients may not open is reported with those that they may`() throws {
        let bridge = ChannelHarness { $0.namespaces = ["/", "/a"] }
        let report = try Self.report(bridge, namespace: "/chat")
        #expect(report.reasons.map(\.code) == ["namespace_not_allowed"] && report.reasons[0].text.contains("/, /a"))
    }

    @Test func `a client that is too slow is disconnected and counted`() throws {
        let bridge = ChannelHarness { $0.maxQueuedBytes = 1000 }
        _ = bridge.client(in: "r")
        let data = "\"\(String(repeating: "x", count: 900))\""
        // The poll takes the first one, the second waits, and the third is too much.
        for queued in [1, 1] { #expect(try Self.report(bridge, room: #""r""#, data: data).sum.queued == queued) }
        let report = try Self.report(bridge, room: #""r""#, data: data)
        #expect(report.sum.matched == 1 && report.sum.queued == 0 && report.sum.tooSlow == 1)
        #expect(report.reasons.map(\.code) == ["slow_client"])
    }

    @Test func `how publishing ended is part of the report`() {
        func report(_ publication: EmitReport.Publication) -> EmitReport {
            EmitReport([], namespace: "/", allowed: nil, publication: publication)
        }
        #expect(report(.published(2)).subscribers == 2)
        #expect(report(.failed(.queueFull)).subscribers == nil)
        #expect(report(.failed(.queueFull)).reasons.map(\.code).contains("not_published"))
        #expect(report(.withoutRedis).reasons.map(\.code).contains("no_redis"))
    }
}
