import Bytes
import Testing

@testable import ws_emit

/// What `ws-emit explain` says of the facts it was told.
@Suite struct DiagnosisTests {
    /// Milliseconds since 1970, by the instance's clock, when listening began.
    private static let since = 1_700_000_000_000

    /// Facts as `/explain` answers them: one client in room `time`, asked three seconds after `since`.
    private static func facts(_ changes: [String: String] = [:]) throws -> InstanceFacts {
        var members = [
            "version": #""0.1.0""#, "host_id": #""h""#, "redis": #""redis://localhost:6379/0""#,
            "channels": #"["flask-socketio"]"#, "origins": #"["http://localhost:7788"]"#, "reasons": "[]",
            "sessions": "1", "sockets": "1", "members": "1", "namespaces": #"["/"]"#, "now": "\(since + 3000)",
        ]
        members.merge(changes) { $1 }
        let json = "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
        return try #require(InstanceFacts(Array(json.utf8)))
    }

    private static func diagnosis(
        _ changes: [String: String] = [:], emits: Int = 1, failure: String? = nil, isRedisNamed: Bool = true
    ) throws -> Diagnosis {
        var heard = Diagnosis.Heard()
        heard.seconds = 3
        heard.messages = emits
        heard.failure = failure
        if emits > 0 {
            let emit = ChannelTraffic.Emit(
                channel: "flask-socketio", namespace: "/", rooms: ["time"], isBroadcast: false, event: "update",
                hostID: "b")
            heard.emits[emit] = emits
        }
        let question = Diagnosis.Question(
            room: "time", namespace: "/", event: nil, channel: nil, redis: "redis://localhost:6379/0",
            isRedisNamed: isRedisNamed, instance: "127.0.0.1:8898")
        return Diagnosis(question: question, facts: try facts(changes), since: since, heard: heard)
    }

    private static func refusal(_ cause: String, secondsAgo: Int, count: Int = 1, detail: String = "") -> String {
        #"{"cause":"\#(cause)","count":\#(count),"last":\#(since + 3000 - secondsAgo * 1000),"text":"a client \#(cause)","#
            + #""advice":"change it","detail":"\#(detail)","namespace":null,"room":null}"#
    }

    private static let nobody = ["sessions": "0", "sockets": "0", "members": "0", "namespaces": "[]"]

    @Test func `when all is well nothing is said`() throws {
        let diagnosis = try Self.diagnosis()
        #expect(diagnosis.findings.isEmpty && diagnosis.notes.isEmpty)
        #expect(diagnosis.text.contains("Within 3 seconds 1 message came by"))
        #expect(diagnosis.text.contains("Nothing stands in the way: 1 client is in room time."))
    }

    @Test func `one and several are worded as people do`() throws {
        let diagnosis = try Self.diagnosis(["members": "2"], emits: 2)
        #expect(diagnosis.text.contains("2 messages came by") && diagnosis.text.contains("2 clients are in room time."))
    }

    @Test func `nobody connected at all is the first finding, and the namespace isn't blamed`() throws {
        let starting = #"[{"code":"starting","text":"not yet"}]"#
        let diagnosis = try Self.diagnosis(Self.nobody.merging(["reasons": starting]) { $1 }, emits: 0)
        #expect(diagnosis.findings.map(\.code) == ["nobody_connected", "starting", "nothing_published"])
    }

    @Test func `clients that open no namespace are told apart from none`() throws {
        let diagnosis = try Self.diagnosis(Self.nobody.merging(["sessions": "2"]) { $1 })
        #expect(diagnosis.findings[0].sentence.contains("2 clients have a connection, but none has opened a namespace"))
    }

    @Test(arguments: [("unsupported_parser", 1), ("unhandled_event", 2), ("websocket_without_upgrade", 0)])
    func `a refusal while listening is a finding with its advice`(cause: String, secondsAgo: Int) throws {
        let refusals = "[\(Self.refusal(cause, secondsAgo: secondsAgo, count: 57))]"
        let diagnosis = try Self.diagnosis(Self.nobody.merging(["refusals": refusals]) { $1 })
        let finding = try #require(diagnosis.findings.first { $0.code == cause })
        #expect(
            finding.sentence.hasSuffix("(57 times).") && finding.advice == "Change it." && finding.ageSeconds == nil)
        #expect(diagnosis.notes.isEmpty)
    }

    @Test func `an older one is a note with its age, and hides nothing`() throws {
        let refusals = "[\(Self.refusal("unsupported_parser", secondsAgo: 600))]"
        let diagnosis = try Self.diagnosis(Self.nobody.merging(["refusals": refusals]) { $1 }, emits: 0)
        #expect(diagnosis.findings.map(\.code) == ["nobody_connected", "nothing_published"])
        #expect(diagnosis.notes.map(\.code) == ["unsupported_parser"] && diagnosis.notes[0].ageSeconds == 600)
        #expect(diagnosis.text.contains("- 10 minutes ago: A client unsupported_parser. [unsupported_parser]"))
    }

    @Test func `refusals of others don't stand in the way of those who are in the room`() throws {
        let diagnosis = try Self.diagnosis(["refusals": "[\(Self.refusal("unsupported_parser", secondsAgo: 1))]"])
        #expect(diagnosis.findings.isEmpty && diagnosis.notes.map(\.code) == ["unsupported_parser"])
    }

    @Test func `a sender that was refused before is a note`() throws {
        let sender = { (ago: Int) in
            #"[{"host_id":"x","refusals":1,"last_refusal":"no dict","last_refused":\#(Self.since + 3000 - ago * 1000)}]"#
        }
        let old = try Self.diagnosis(["senders": sender(60)], emits: 0)
        #expect(old.findings.map(\.code) == ["nothing_published"] && old.notes.map(\.code) == ["message_refused"])
        let new = try Self.diagnosis(["senders": sender(1)], emits: 0)
        #expect(new.findings.map(\.code) == ["message_refused"] && new.notes.isEmpty)
        #expect(new.findings[0].sentence == "1 message of sender x was refused: no dict.")
    }

    @Test func `messages that may have been missed are told with their time`() throws {
        let gap =
            #"[{"from":\#(Self.since - 7000),"to":\#(Self.since - 5000),"cause":"restarted","detail":"Redis is another process"}]"#
        let diagnosis = try Self.diagnosis(["gaps": gap])
        #expect(diagnosis.findings.isEmpty && diagnosis.notes.map(\.code) == ["messages_missed"])
        #expect(diagnosis.notes[0].sentence.contains("2 seconds: Redis is another process"))
        #expect(diagnosis.notes[0].ageSeconds == 8)
    }

    @Test func `a secret that ends with a line feed is told`() throws {
        let space =
            #"{"name":"dir","has_secret":true,"problems":[{"code":"secret_ends_with_line_feed","key":"k","text":"the secret in the key k ends with a line feed: set it without"}]}"#
        let diagnosis = try Self.diagnosis(["members": "0", "room_space": space])
        #expect(diagnosis.findings.map(\.code) == ["nobody_in_room", "secret_ends_with_line_feed"])
    }

    @Test func `the instance's own Redis, which is shown without password, may be closed to explain`() throws {
        let own = try Self.diagnosis(emits: 0, failure: "NOAUTH", isRedisNamed: false)
        #expect(own.findings.isEmpty && own.notes.map(\.code) == ["redis_unreachable"])
        let elsewhere = try Self.diagnosis(["canary_id": "7"], emits: 0, isRedisNamed: false)
        #expect(elsewhere.findings.isEmpty && elsewhere.notes.map(\.code) == ["redis_unreachable"])
        #expect(elsewhere.notes[0].sentence.contains("another Redis replies there"))
        #expect(try Self.diagnosis(["canary_id": "7"]).findings.map(\.code) == ["other_redis"])
        let named = try Self.diagnosis(emits: 0, failure: "NOAUTH")
        #expect(named.findings.map(\.code) == ["redis_unreachable"])
    }

    @Test func `an unusable secret isn't called missing too`() throws {
        let problem = #"[{"code":"secret_wrong_type","text":"the key k holds no text: DEL and SET it"}]"#
        let space = #"{"name":"dir","has_secret":false,"problems":\#(problem)}"#
        let diagnosis = try Self.diagnosis(["members": "0", "room_space": space])
        #expect(diagnosis.findings.map(\.code) == ["nobody_in_room", "secret_wrong_type"])
        #expect(
            diagnosis.findings[1].sentence == "The key k holds no text."
                && diagnosis.findings[1].advice == "DEL and SET it.")
    }

    @Test func `the join that a room-space needs has its secret`() throws {
        let space = #"{"name":"dir","has_secret":true,"problems":[]}"#
        let inSpace = try Self.diagnosis(["members": "0", "room_space": space]).findings[0]
        #expect(inSpace.advice.contains(#"{room: "time", secret: "…"}"#))
        #expect(try Self.diagnosis(["members": "0"]).findings[0].advice.contains(#"{room: "time"}"#))
    }

    @Test func `a Redis that wants a password gets one, in a sentence with one full stop`() throws {
        let finding = try Self.diagnosis(emits: 0, failure: "NOAUTH Authentication required.").findings[0]
        #expect(finding.sentence.hasSuffix("NOAUTH Authentication required."))
        #expect(finding.advice.contains("--redis-password-file"))
    }

    @Test(arguments: ["canary_overdue", "starting"])
    func `a canary that ws-emit itself misses doesn't prove another Redis`(reason: String) throws {
        let reasons = #"[{"code":"\#(reason)","text":"a message to ourselves can't be published: NOPERM"}]"#
        let diagnosis = try Self.diagnosis(["canary_id": "7", "reasons": reasons])
        #expect(diagnosis.findings.map(\.code) == [reason])
    }

    @Test func `of several refused messages the reason is that of the last one`() throws {
        let senders = #"[{"host_id":null,"refusals":5,"last_refusal":"no dict","last_refused":\#(Self.since)}]"#
        let finding = try Self.diagnosis(["senders": senders], emits: 0).findings[0]
        #expect(finding.sentence == "5 messages of senders without host id were refused, the last one: no dict.")
    }

    @Test func `strangers' names move no terminal`() throws {
        let diagnosis = try Self.diagnosis(["members": "0", "similar": #"["\u001b[2Jtime","\u202etime\nx"]"#])
        #expect(diagnosis.text.contains(#"\x1b[2Jtime, \u202etime\nx"#))
    }

    @Test func `the JSON has the same findings, and stable keys`() throws {
        let refusals = "[\(Self.refusal("unknown_session", secondsAgo: 600))]"
        let text = try Self.diagnosis(Self.nobody.merging(["refusals": refusals]) { $1 }, emits: 0).json
        #expect(
            text.hasPrefix(
                #"{"room":"time","namespace":"/","instance":"127.0.0.1:8898","version":"0.1.0","#
                    + #""redis":"redis://localhost:6379/0","channels":["flask-socketio"],"members":0,"kept":0,"listened_seconds":3.0,"#
                    + #""messages":0,"findings":[{"code":"nobody_connected","text":"#))
        #expect(
            text.contains(#""notes":[{"code":"unknown_session","#) && text.hasSuffix(#""age_seconds":600}]}"# + "\n"))
    }

    // MARK: Addresses

    @Test func `when nobody answers, the last that speaks at all is told of`() {
        let admin = InstanceAddress(host: "127.0.0.1", port: 8898, name: "127.0.0.1:8898")
        var page = InstanceAddress(host: "127.0.0.1", port: 8899, name: "http://127.0.0.1:8899", isPublic: true)
        let none = InstanceAddress.finding(for: [
            (admin, .nothing("nothing listens there")), (page, .nothing("no route")),
        ])
        #expect(none.code == "unreachable")
        #expect(none.line.contains("at 127.0.0.1:8898 (nothing listens there) and http://127.0.0.1:8899 (no route)."))
        #expect(InstanceAddress.finding(for: [(admin, .nothing("x")), (page, .status(403))]).code == "no_secret")
        page.secret = "guess"
        #expect(InstanceAddress.finding(for: [(admin, .nothing("x")), (page, .status(403))]).code == "wrong_secret")
        #expect(InstanceAddress.finding(for: [(admin, .status(404)), (page, .nothing("x"))]).code == "cannot_ask")
    }
}
