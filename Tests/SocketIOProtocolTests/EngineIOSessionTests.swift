import Testing

@testable import SocketIOProtocol

@Suite struct EngineIOSessionTests {
    /// A session and a clock that moves only when told.
    struct Driver {
        var session: EngineIOSession
        var now: ContinuousClock.Instant

        init(_ transport: EngineIORequest.Transport = .polling) {
            var timing = EngineIOTiming()
            timing.pingInterval = .milliseconds(300)
            timing.pingTimeout = .milliseconds(200)
            timing.upgradeTimeout = .milliseconds(100)
            timing.connectTimeout = .seconds(10)
            now = .now
            session = EngineIOSession(transport: transport, timing: timing, at: now)
        }

        /// A session in the given phase, by the way that real ones take.
        init(in phase: EngineIOSession.Phase) {
            self.init(.polling)
            if phase == .closed { session.close() }
            if phase == .closed || phase == .polling { return }
            _ = session.webSocketArrived(at: now)
            if phase == .probing { return }
            _ = receive(.ping, "probe", on: .websocket)
            if phase == .probed { return }
            _ = receive(.upgrade, on: .websocket)
        }

        mutating func receive(
            _ type: EngineIOPacketType, _ payload: String = "", on transport: EngineIORequest.Transport
        ) -> EngineIOSession.Action {
            session.received(EngineIOPacket(type: type, payload: Array(payload.utf8)[...]), on: transport, at: now)
        }

        mutating func tick(_ milliseconds: Int) -> EngineIOSession.TimerAction {
            now += .milliseconds(milliseconds)
            return session.timerFired(at: now)
        }
    }

    // MARK: Transitions

    struct Row: CustomTestStringConvertible, Sendable {
        var phase: EngineIOSession.Phase
        var transport: EngineIORequest.Transport
        var type: EngineIOPacketType
        var payload = ""
        var action: EngineIOSession.Action
        var next: EngineIOSession.Phase
        var testDescription: String { "\(type) \(payload) by \(transport) while \(phase)" }
    }

    private static let rows: [Row] = {
        var rows: [Row] = []
        for phase in [EngineIOSession.Phase.polling, .probing, .probed] {
            for type in [EngineIOPacketType.open, .ping, .pong, .upgrade, .noop] {
                rows.append(Row(phase: phase, transport: .polling, type: type, action: .none, next: phase))
            }
            rows.append(
                Row(phase: phase, transport: .polling, type: .ping, payload: "probe", action: .none, next: phase))
            rows.append(Row(phase: phase, transport: .polling, type: .message, action: .message, next: phase))
            rows.append(
                Row(phase: phase, transport: .polling, type: .close, action: .close(.clientClosed), next: .closed))
        }
        for type in [EngineIOPacketType.open, .ping, .pong, .upgrade, .noop] {
            rows.append(Row(phase: .websocket, transport: .websocket, type: type, action: .none, next: .websocket))
        }
        rows.append(Row(phase: .websocket, transport: .websocket, type: .message, action: .message, next: .websocket))
        rows.append(
            Row(phase: .websocket, transport: .websocket, type: .close, action: .close(.clientClosed), next: .closed))
        // Only `2probe` and then `5` lead on; anything else costs the websocket, never the session.
        for phase in [EngineIOSession.Phase.probing, .probed] {
            for type in [EngineIOPacketType.open, .close, .ping, .pong, .message, .noop] {
                rows.append(
                    Row(phase: phase, transport: .websocket, type: type, action: .dropWebSocket, next: .polling))
            }
        }
        rows.append(
            Row(phase: .probing, transport: .websocket, type: .upgrade, action: .dropWebSocket, next: .polling))
        rows.append(
            Row(
                phase: .probing, transport: .websocket, type: .ping, payload: "probe",
                action: .confirmProbe, next: .probed))
        rows.append(
            Row(
                phase: .probing, transport: .websocket, type: .ping, payload: "prob", action: .dropWebSocket,
                next: .polling))
        rows.append(
            Row(
                phase: .probed, transport: .websocket, type: .ping, payload: "probe", action: .dropWebSocket,
                next: .polling))
        rows.append(
            Row(
                phase: .probed, transport: .websocket, type: .upgrade, action: .upgraded,
                next: .websocket))
        return rows
    }()

    @Test(arguments: rows)
    func `each packet has its effect in each phase`(row: Row) {
        var driver = Driver(in: row.phase)
        #expect(driver.session.phase == row.phase)
        #expect(driver.receive(row.type, row.payload, on: row.transport) == row.action)
        #expect(driver.session.phase == row.next)
    }

    @Test func `a binary probe is no probe`() {
        var driver = Driver(in: .probing)
        var probe = EngineIOPacket(type: .ping, payload: Array("probe".utf8)[...])
        probe.isBinary = true
        #expect(driver.session.received(probe, on: .websocket, at: driver.now) == .dropWebSocket)
    }

    // MARK: Polls

    @Test func `a poll waits while there is nothing to say`() {
        var driver = Driver()
        #expect(driver.session.pollArrived(hasQueuedPackets: false) == .hold)
        #expect(driver.session.isPollWaiting)
        #expect(driver.session.takeFlushTarget() == .waitingPoll)
        #expect(driver.session.takeFlushTarget() == .nothing, "a poll is answered once")
        #expect(driver.session.pollArrived(hasQueuedPackets: true) == .respond)
        #expect(!driver.session.isPollWaiting)
    }

    @Test func `a second poll at once ends the session`() {
        var driver = Driver()
        #expect(driver.session.pollArrived(hasQueuedPackets: false) == .hold)
        #expect(driver.session.pollArrived(hasQueuedPackets: true) == .closeOverlapping)
        #expect(driver.session.phase == .closed)
    }

    @Test func `a waiting poll that goes away ends the session`() {
        var driver = Driver()
        #expect(driver.session.pollAborted() == nil, "an answered poll may go")
        #expect(driver.session.pollArrived(hasQueuedPackets: false) == .hold)
        #expect(driver.session.pollAborted() == .pollAborted)
        #expect(driver.session.phase == .closed)
        #expect(driver.session.pollAborted() == nil)
    }

    @Test(
        arguments: [
            (.polling, true), (.probing, true), (.probed, true), (.websocket, false), (.closed, false),
        ] as [(EngineIOSession.Phase, Bool)])
    func `HTTP requests are accepted until the websocket has taken over`(phase: EngineIOSession.Phase, accepts: Bool) {
        var driver = Driver(in: phase)
        #expect(driver.session.acceptsPosts == accepts)
        #expect((driver.session.pollArrived(hasQueuedPackets: false) == .refuse(.unexpectedRequest)) == !accepts)
    }

    @Test(
        arguments: [
            (.polling, .nothing), (.probing, .nothing), (.probed, .nothing), (.websocket, .webSocket),
            (.closed, .nothing),
        ] as [(EngineIOSession.Phase, EngineIOSession.FlushTarget)])
    func `packets go where the phase says`(phase: EngineIOSession.Phase, target: EngineIOSession.FlushTarget) {
        var driver = Driver(in: phase)
        #expect(driver.session.takeFlushTarget() == target)
    }

    // MARK: Upgrade

    @Test func `the probe ends the poll that waits`() {
        var driver = Driver()
        _ = driver.session.pollArrived(hasQueuedPackets: false)
        #expect(driver.session.webSocketArrived(at: driver.now) == true)
        #expect(driver.session.takeFlushTarget() == .waitingPoll, "until the probe, packets go to the poll")
        _ = driver.session.pollArrived(hasQueuedPackets: false)
        #expect(driver.receive(.ping, "probe", on: .websocket) == .confirmProbe)
        #expect(!driver.session.isPollWaiting)
        #expect(driver.session.pollArrived(hasQueuedPackets: false) == .respond, "and none waits after it")
        #expect(driver.receive(.upgrade, on: .websocket) == .upgraded)
    }

    @Test(
        arguments: [
            (.polling, true), (.probing, false), (.probed, false), (.websocket, false), (.closed, false),
        ] as [(EngineIOSession.Phase, Bool)])
    func `one websocket may probe at a time`(phase: EngineIOSession.Phase, isAccepted: Bool) {
        var driver = Driver(in: phase)
        #expect(driver.session.webSocketArrived(at: driver.now) == isAccepted)
        #expect(driver.session.phase == (isAccepted ? .probing : phase))
    }

    @Test(
        arguments: [
            (.polling, false, .polling), (.probing, false, .polling), (.probed, false, .polling),
            (.websocket, true, .closed), (.closed, false, .closed),
        ] as [(EngineIOSession.Phase, Bool, EngineIOSession.Phase)])
    func `a websocket that closes ends what it carried`(
        phase: EngineIOSession.Phase, endsSession: Bool, next: EngineIOSession.Phase
    ) {
        var driver = Driver(in: phase)
        #expect(driver.session.webSocketClosed() == endsSession)
        #expect(driver.session.phase == next)
    }

    @Test(arguments: [EngineIOSession.Phase.probing, .probed])
    func `a probe that takes too long is dropped, and the next one may try`(phase: EngineIOSession.Phase) {
        var driver = Driver(in: phase)
        #expect(driver.tick(99) == .none)
        #expect(driver.tick(1) == .dropWebSocket)
        #expect(driver.session.phase == .polling)
        #expect(driver.tick(50) == .none, "closed once")
        #expect(driver.session.webSocketArrived(at: driver.now) == true)
        #expect(driver.tick(99) == .none, "with a time of its own")
    }

    @Test func `a finished upgrade has no deadline`() {
        var driver = Driver(in: .websocket)
        #expect(driver.tick(150) == .none)
    }

    // MARK: Heartbeat

    @Test(arguments: [EngineIORequest.Transport.polling, .websocket])
    func `a ping is due after the interval and again after each pong`(transport: EngineIORequest.Transport) {
        var driver = Driver(transport)
        for _ in 0..<5 {
            #expect(driver.tick(299) == .none)
            #expect(driver.tick(1) == .sendPing)
            #expect(driver.tick(100) == .none, "one at a time")
            #expect(driver.receive(.pong, on: transport) == .none)
        }
    }

    @Test func `a ping that nobody answers ends the session at the timeout`() {
        var driver = Driver()
        #expect(driver.tick(300) == .sendPing)
        #expect(driver.tick(199) == .none)
        #expect(driver.tick(1) == .close(.pingTimeout))
        #expect(driver.session.phase == .closed)
        #expect(driver.tick(1000) == .none, "closed once")
    }

    @Test func `a ping sent a little late doesn't move the deadline`() {
        var driver = Driver()
        #expect(driver.tick(320) == .sendPing)
        #expect(driver.tick(179) == .none)
        #expect(driver.tick(1) == .close(.pingTimeout))
    }

    @Test func `a ping sent very late leaves the client most of its time`() {
        var driver = Driver()
        #expect(driver.tick(5000) == .sendPing)
        #expect(driver.tick(179) == .none)
        #expect(driver.tick(1) == .close(.pingTimeout))
    }

    @Test func `a pong that nobody asked for moves the next ping`() {
        var driver = Driver()
        #expect(driver.tick(200) == .none)
        #expect(driver.receive(.pong, on: .polling) == .none)
        #expect(driver.tick(299) == .none)
        #expect(driver.tick(1) == .sendPing)
    }

    @Test func `a pong may come by the websocket for a ping by polling`() {
        var driver = Driver()
        #expect(driver.tick(300) == .sendPing)
        _ = driver.session.webSocketArrived(at: driver.now)
        _ = driver.receive(.ping, "probe", on: .websocket)
        _ = driver.receive(.upgrade, on: .websocket)
        _ = driver.receive(.pong, on: .websocket)
        #expect(driver.tick(250) == .none)
    }

    // MARK: Namespace and end

    @Test func `a client that opens no namespace is gone at the connect timeout`() {
        var driver = Driver()
        var last = EngineIOSession.TimerAction.none
        var elapsed = 0
        while elapsed < 20_000, last != .close(.noNamespace) {
            last = driver.tick(100)
            elapsed += 100
            if last == .sendPing { _ = driver.receive(.pong, on: .polling) }
        }
        #expect(last == .close(.noNamespace))
        #expect(elapsed == 10_000)
    }

    @Test func `a client with a namespace may stay`() {
        var driver = Driver()
        driver.session.namespaceConnected()
        for _ in 0..<200 {
            let action = driver.tick(100)
            #expect(action == .none || action == .sendPing)
            if action == .sendPing { _ = driver.receive(.pong, on: .polling) }
        }
    }

    @Test func `a closed session does nothing more`() {
        var driver = Driver(in: .closed)
        #expect(driver.tick(60_000) == .none)
        #expect(!driver.session.isPollWaiting)
        #expect(driver.session.takeFlushTarget() == .nothing)
        #expect(driver.session.pollArrived(hasQueuedPackets: true) == .refuse(.unexpectedRequest))
        #expect(driver.session.webSocketArrived(at: driver.now) == false)
        #expect(driver.session.webSocketClosed() == false)
    }
}
