import Bytes
import NIOCore

@testable import Bridge

/// Servers that share a Redis, all of them simulated, under a random schedule: they start, stop, crash, pause and lose their
/// connections, while values are published. Time is in milliseconds.
final class KeptReplicaModel {
    static let slotCount = 4

    struct Faults {
        var crash = true
        var pause = true
        var loseSubscription = true
        var failCommands = true
        /// Redis is restarted, which all connections lose; with or without its data.
        var restartRedis = false
        /// Server 0 has no faults.
        var spareFirst = false
    }

    enum Message {
        case value(slot: Int, version: Int?)
        case request(host: ByteString, id: Int64)
        case stored(writer: ByteString, host: ByteString, id: Int64)
    }

    struct Stored: Equatable {
        let version: Int
        let stamp: Int
    }

    private struct Event {
        let time: Int
        let number: Int
        /// The server and its life that the event is for.
        let server: Int?
        let life: Int
        let body: (KeptReplicaModel) -> Void
    }

    final class Server {
        var life = 0
        let host: ByteString
        var replica: KeptReplica
        var isAlive = false
        var pausedUntil = 0
        let skew: Int
        /// Index in the log of the next message to receive; nil without a subscription.
        var position: Int?
        var subscription = 0
        var lastArrival = 0
        var lastCommand = 0
        var lastReply = 0
        // The store.
        var memory: [Int: (version: Int, stamp: Int, isLive: Bool)] = [:]
        var removals: Set<Int> = []
        var pending: [Int] = []
        var isRecording = false
        var requestStamp = 0
        var token = ""
        var tokenNumber = 0

        init(host: ByteString, jitter: Double, skew: Int) {
            self.host = host
            self.skew = skew
            replica = KeptReplica(host: host, jitter: jitter)
        }

        func record(_ slot: Int) {
            if isRecording, !pending.contains(slot) { pending.append(slot) }
        }
    }

    private var random: SplitMix
    private let faults: Faults
    private(set) var now = 0
    private var queue: [Event] = []
    private var eventNumber = 0
    private(set) var servers: [Server] = []
    private var log: [Message] = []
    /// The last version of each slot before each message.
    private var truth: [[Int?]] = [Array(repeating: nil, count: slotCount)]
    private(set) var hash: [Int: Stored] = [:]
    private var lease: (token: String, until: Int)?
    private var isQuiet = false
    private(set) var problems: [String] = []
    /// A server has become synced without all values: nobody who had them could tell it.
    private(set) var hasLost = false
    var trace: [String] = []
    var isTracing = false

    init(seed: UInt64, serverCount: Int = 4, faults: Faults) {
        random = SplitMix(state: seed)
        self.faults = faults
        for index in 0..<serverCount {
            let jitter = Double(index * 7 % serverCount) / Double(serverCount)
            servers.append(
                Server(host: ByteString("\(index)"), jitter: jitter, skew: Int.random(in: -40...40, using: &random)))
        }
    }

    func note(_ text: @autoclosure () -> String) {
        if isTracing { trace.append("\(now) \(text())") }
    }

    // MARK: Running

    /// - Returns: problems found.
    func run(for duration: Int = 20_000) -> [String] {
        for index in servers.indices {
            after(chance(0.5) ? 0 : Int.random(in: 0...2000, using: &random), nil) { $0.start(index) }
        }
        schedulePublication()
        if faults.restartRedis { after(Int.random(in: 3000...9000, using: &random), nil) { $0.restartRedis() } }
        scheduleFault()
        run(until: duration)
        isQuiet = true
        for index in servers.indices where !servers[index].isAlive { start(index) }
        run(until: duration + 30_000)
        checkAgreement()
        return problems
    }

    private func run(until end: Int) {
        while problems.isEmpty, let first = queue.first, first.time <= end, let event = popEvent() {
            now = max(now, event.time)
            if let index = event.server {
                let server = servers[index]
                guard server.life == event.life, server.isAlive else { continue }
                if server.pausedUntil > now {
                    add(
                        Event(
                            time: server.pausedUntil, number: next(), server: index, life: event.life, body: event.body)
                    )
                    continue
                }
                event.body(self)
                checkOrder(index)
            } else {
                event.body(self)
            }
        }
        now = end
    }

    private func next() -> Int {
        eventNumber += 1
        return eventNumber
    }

    private func isBefore(_ left: Event, _ right: Event) -> Bool {
        (left.time, left.number) < (right.time, right.number)
    }

    private func add(_ event: Event) {
        var index = queue.count
        queue.append(event)
        while index > 0, isBefore(queue[index], queue[(index - 1) / 2]) {
            queue.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private func popEvent() -> Event? {
        guard !queue.isEmpty else { return nil }
        queue.swapAt(0, queue.count - 1)
        let event = queue.removeLast()
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2]
            where child < queue.count && isBefore(queue[child], queue[least]) {
                least = child
            }
            guard least != index else { return event }
            queue.swapAt(index, least)
            index = least
        }
    }

    private func after(_ delay: Int, _ server: Int?, _ body: @escaping (KeptReplicaModel) -> Void) {
        add(
            Event(
                time: now + delay, number: next(), server: server, life: server.map { servers[$0].life } ?? 0,
                body: body))
    }

    private func chance(_ share: Double) -> Bool { Double.random(in: 0..<1, using: &random) < share }

    // MARK: Redis

    private func publish(_ message: Message) {
        log.append(message)
        var versions = truth[truth.count - 1]
        if case .value(let slot, let version) = message { versions[slot] = version }
        truth.append(versions)
        for index in servers.indices where servers[index].position != nil { scheduleArrival(index) }
    }

    private func scheduleArrival(_ index: Int) {
        let server = servers[index]
        let subscription = server.subscription
        server.lastArrival = max(server.lastArrival, now + Int.random(in: 0...3, using: &random))
        after(server.lastArrival - now, index) { model in
            let server = model.servers[index]
            guard server.subscription == subscription, let position = server.position else { return }
            server.position = position + 1
            model.received(model.log[position], index)
        }
    }

    /// Runs a command at Redis, and its reply at the server. Commands and replies of a server stay in order.
    private func command<Result>(
        _ index: Int, _ run: @escaping (KeptReplicaModel) -> Result,
        reply: @escaping (KeptReplicaModel, Result?) -> Void
    ) {
        let server = servers[index]
        let fails = !isQuiet && faults.failCommands && !(faults.spareFirst && index == 0) && chance(0.02)
        let isRun = !fails || chance(0.5)
        // One that fails may be run much later, on a connection that was given up.
        let delay = Int.random(in: 0...2, using: &random)
        if fails {
            if isRun {
                after(delay + (chance(0.3) ? Int.random(in: 0...3000, using: &random) : 0), nil) { _ = run($0) }
            }
            after(chance(0.3) ? 2000 : 5, index) { reply($0, nil) }
            return
        }
        server.lastCommand = max(server.lastCommand, now + delay)
        let back = Int.random(in: 0...2, using: &random)
        let life = server.life
        after(server.lastCommand - now, nil) { model in
            let result = run(model)
            let server = model.servers[index]
            guard server.life == life else { return }
            server.lastReply = max(server.lastReply, model.now + back)
            model.after(server.lastReply - model.now, index) { reply($0, result) }
        }
    }

    private func restartRedis() {
        if chance(0.5) { hash = [:] }
        lease = nil
        note("Redis restarts with \(hash.count)")
        hasLost = true
        for index in servers.indices where servers[index].isAlive {
            loseSubscription(index, for: Int.random(in: 50...1500, using: &random))
        }
    }

    // MARK: Faults and publications

    private func schedulePublication() {
        after(Int.random(in: 1...60, using: &random) + (chance(0.05) ? 2000 : 0), nil) { model in
            guard !model.isQuiet else { return }
            let slot = Int.random(in: 0..<Self.slotCount, using: &model.random)
            model.publish(.value(slot: slot, version: model.chance(0.2) ? nil : model.log.count + 1))
            model.schedulePublication()
        }
    }

    private func scheduleFault() {
        after(Int.random(in: 50...1500, using: &random), nil) { model in
            guard !model.isQuiet else { return }
            model.fault()
            model.scheduleFault()
        }
    }

    private func fault() {
        let first = faults.spareFirst ? 1 : 0
        let index = Int.random(in: first..<servers.count, using: &random)
        guard servers[index].isAlive else { return start(index) }
        switch Int.random(in: 0..<4, using: &random) {
        case 0 where faults.crash: stop(index, gracefully: false)
        case 1 where faults.crash: stop(index, gracefully: true)
        case 2 where faults.pause:
            servers[index].pausedUntil = now + Int.random(in: 1...1000, using: &random) * (chance(0.2) ? 5 : 1)
            note("\(index) pauses until \(servers[index].pausedUntil)")
        case 3 where faults.loseSubscription: loseSubscription(index, for: Int.random(in: 20...1000, using: &random))
        default: break
        }
    }

    private func start(_ index: Int) {
        let server = servers[index]
        guard !server.isAlive else { return }
        server.isAlive = true
        server.life += 1
        server.pausedUntil = 0
        let jitter = Double(index * 7 % servers.count) / Double(servers.count)
        server.replica = KeptReplica(host: ByteString("\(index).\(server.life)"), jitter: jitter)
        (server.memory, server.removals, server.pending, server.isRecording) = ([:], [], [], false)
        note("\(index) starts")
        subscribe(index)
    }

    private func subscribe(_ index: Int) {
        let server = servers[index]
        server.subscription += 1
        server.position = log.count
        server.lastArrival = now
        perform(server.replica.subscribed(at: time), index)
    }

    private func stop(_ index: Int, gracefully: Bool) {
        let server = servers[index]
        note("\(index) stops, gracefully: \(gracefully)")
        if gracefully, server.replica.isWriter {
            let batch = server.pending.map { ($0, server.memory[$0]) }
            let token = server.token
            after(0, nil) { model in
                guard model.holds(token) else { return }
                model.store(batch)
                model.lease = nil
            }
        }
        server.isAlive = false
        server.life += 1
        server.position = nil
        server.subscription += 1
    }

    private func loseSubscription(_ index: Int, for delay: Int) {
        let server = servers[index]
        guard server.position != nil else { return }
        note("\(index) loses its subscription for \(delay)")
        server.position = nil
        server.subscription += 1
        let subscription = server.subscription
        perform(server.replica.lost(), index)
        after(delay, index) { if $0.servers[index].subscription == subscription { $0.subscribe(index) } }
    }

    // MARK: A server

    private var time: NIODeadline { .uptimeNanoseconds(UInt64(now + 1_000_000) * 1_000_000) }

    private func received(_ message: Message, _ index: Int) {
        let server = servers[index]
        switch message {
        case .value(let slot, let version):
            server.memory[slot] = version.map { ($0, now + server.skew, true) }
            if version == nil { server.removals.insert(slot) } else { server.removals.remove(slot) }
            server.record(slot)
            server.replica.changed(at: time)
            perform([], index)
        case .request(let host, let id): perform(server.replica.requestSeen(of: host, id: id, at: time), index)
        case .stored(let writer, let host, let id):
            perform(server.replica.storedSeen(by: writer, for: host, id: id, at: time), index)
        }
    }

    private func perform(_ actions: [KeptReplica.Action], _ index: Int) {
        let server = servers[index]
        let host = server.replica.host
        for action in actions {
            note("\(index) \(action)")
            switch action {
            case .beginEpoch:
                server.memory = server.memory.mapValues { ($0.version, $0.stamp, false) }
                server.removals = []
            case .publishRequest(let id):
                server.requestStamp = now + server.skew
                send(.request(host: host, id: id), index)
            case .publishStored(let other, let id): send(.stored(writer: host, host: other, id: id), index)
            case .take(let condition, let unlessEmpty): take(condition, unlessEmpty, index)
            case .merge(let merge, let asWriter): self.merge(merge, asWriter, index)
            case .write: write(index)
            case .stopRecording: (server.isRecording, server.pending) = (false, [])
            case .releaseLease:
                let token = server.token
                command(index) {
                    if $0.holds(token) { $0.lease = nil }
                } reply: { _, _ in
                }
            case .becameSynced: checkStart(index)
            }
        }
        server.replica.hasKept = !server.memory.isEmpty
        scheduleTimer(index)
    }

    private func send(_ message: Message, _ index: Int) {
        command(index) {
            $0.publish(message)
        } reply: { _, _ in
        }
    }

    private func scheduleTimer(_ index: Int) {
        guard let deadline = servers[index].replica.nextDeadline else { return }
        let due = Int((deadline.uptimeNanoseconds + 999_999) / 1_000_000) - 1_000_000
        let epoch = servers[index].replica.epoch
        after(max(due - now, 0), index) { model in
            let replica = model.servers[index].replica
            guard replica.epoch == epoch, let deadline = replica.nextDeadline, deadline <= model.time else { return }
            model.perform(model.servers[index].replica.proceed(at: model.time), index)
        }
    }

    private func holds(_ token: String) -> Bool { lease.map { $0.token == token && $0.until > now } ?? false }

    private func take(_ condition: KeptReplica.Condition, _ unlessEmpty: Bool, _ index: Int) {
        let server = servers[index]
        let epoch = server.replica.epoch
        server.tokenNumber += 1
        let prefix = "\(server.replica.host):"
        let token = prefix + "\(server.tokenNumber)"
        server.token = token
        let leaseTime = Int(KeptReplica.leaseTime.nanoseconds / 1_000_000)
        command(index) { model -> KeptReplica.TakeResult in
            if unlessEmpty, model.hash.isEmpty { return .empty }
            var isOurs = false
            if let lease = model.lease, lease.until > model.now {
                isOurs = lease.token.hasPrefix(prefix)
                switch condition {
                case .always: break
                case _ where isOurs: break
                case .isAbsent: return .held
                case .isQuiet(let time):
                    if lease.until - model.now > leaseTime - Int(time.nanoseconds / 1_000_000) { return .held }
                }
            }
            model.lease = (token, model.now + leaseTime)
            return isOurs ? .ours : .taken
        } reply: { model, result in
            model.note("\(index) took \(result ?? .failed)")
            model.perform(model.servers[index].replica.took(result ?? .failed, epoch: epoch, at: model.time), index)
        }
    }

    /// In two commands, for the even slots and the odd ones.
    private func merge(_ merge: KeptMerge, _ asWriter: Bool, _ index: Int) {
        let server = servers[index]
        let epoch = server.replica.epoch
        if asWriter { server.isRecording = true }
        mergePart(0, merge, asWriter, false, epoch, index)
    }

    private func mergePart(
        _ part: Int, _ merge: KeptMerge, _ asWriter: Bool, _ isNewer: Bool, _ epoch: Int, _ index: Int
    ) {
        let token = servers[index].token
        command(index) { model -> [Int: Stored] in
            if asWriter, model.holds(token) { model.extend() }
            return model.hash.filter { $0.key % 2 == part }
        } reply: { model, stored in
            let server = model.servers[index]
            guard server.replica.epoch == epoch else { return }
            guard let stored else {
                return model.perform(server.replica.mergeFailed(epoch: epoch, at: model.time), index)
            }
            var isNewer = isNewer
            for slot in stride(from: part, to: Self.slotCount, by: 2) where server.merge(slot, stored[slot], merge) {
                isNewer = true
            }
            if part == 0 { return model.mergePart(1, merge, asWriter, isNewer, epoch, index) }
            server.replica.hasKept = !server.memory.isEmpty
            // Values that only a server with an earlier gap had.
            if merge == .newer, server.replica.isSynced { model.checkStart(index) }
            model.perform(server.replica.merged(ownIsNewer: isNewer, epoch: epoch, at: model.time), index)
        }
    }

    private func extend() {
        if let token = lease?.token { lease = (token, now + Int(KeptReplica.leaseTime.nanoseconds / 1_000_000)) }
    }

    private func store(_ batch: [(slot: Int, value: (version: Int, stamp: Int, isLive: Bool)?)]) {
        for (slot, value) in batch { hash[slot] = value.map { Stored(version: $0.version, stamp: $0.stamp) } }
    }

    private func write(_ index: Int) {
        let server = servers[index]
        let epoch = server.replica.epoch
        let slots = Array(server.pending.prefix(2))
        server.pending.removeFirst(slots.count)
        let isAll = server.pending.isEmpty
        let batch = slots.map { ($0, server.memory[$0]) }
        let token = server.token
        command(index) { model -> KeptReplica.WriteResult in
            guard model.holds(token) else { return .lost }
            model.extend()
            model.store(batch)
            return .written(all: isAll)
        } reply: { model, result in
            let server = model.servers[index]
            let result = result ?? .failed
            if result == .lost || result == .failed, server.isRecording {
                server.pending.insert(contentsOf: slots.filter { !server.pending.contains($0) }, at: 0)
            }
            model.note("\(index) wrote \(slots) \(result)")
            model.perform(server.replica.wrote(result, epoch: epoch, at: model.time), index)
        }
    }

    // MARK: Checks

    private func versions(_ index: Int) -> [Int?] { (0..<Self.slotCount).map { servers[index].memory[$0]?.version } }

    /// Whoever joins at a synced server gets exactly the last values of the messages that have come there.
    private func checkOrder(_ index: Int) {
        let server = servers[index]
        guard !hasLost, server.replica.isSynced, let position = server.position else { return }
        if versions(index) != truth[position] {
            problems.append("\(now): server \(index) has \(versions(index)), published was \(truth[position])")
        }
    }

    private func checkStart(_ index: Int) {
        guard let position = servers[index].position, versions(index) != truth[position] else { return }
        note("\(index) has lost values")
        hasLost = true
    }

    private func checkAgreement() {
        guard problems.isEmpty else { return }
        for index in servers.indices {
            let server = servers[index]
            let stored = (0..<Self.slotCount).map { hash[$0]?.version }
            if !server.replica.isSynced { problems.append("server \(index) is not synced in the end") }
            if versions(index) != stored {
                problems.append("in the end server \(index) has \(versions(index)), Redis has \(stored)")
            }
        }
        let writers = servers.count { $0.replica.isWriter }
        if writers != 1, !hash.isEmpty { problems.append("\(writers) writers in the end") }
    }
}

extension KeptReplicaModel.Server {
    /// - Returns: true if ours is newer than what is stored, or not stored.
    func merge(_ slot: Int, _ stored: KeptReplicaModel.Stored?, _ merge: KeptMerge) -> Bool {
        let own = memory[slot]
        let isLive = own?.isLive ?? removals.contains(slot)
        guard own?.version != stored?.version else { return false }
        let keepsOwn: Bool =
            switch merge {
            case .own: true
            case .stored: isLive
            case .newer: isLive || own.map { own in stored.map { own.stamp > $0.stamp } ?? true } ?? false
            }
        if keepsOwn {
            record(slot)
        } else {
            memory[slot] = stored.map { ($0.version, $0.stamp, false) }
        }
        guard merge == .stored, keepsOwn else { return keepsOwn }
        return own.map { own in own.stamp < requestStamp && (stored.map { $0.stamp < own.stamp } ?? false) } ?? false
    }
}
