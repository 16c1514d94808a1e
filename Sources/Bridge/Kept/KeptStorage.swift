import Bytes
import Logging
import NIOCore
import PubSubMessages
import RedisPubSub

/// Keeps the store of this process and the hash in Redis alike, as ``KeptReplica`` says. Lives on the router's event loop.
///
///     messages, time ──▶ KeptReplica ──actions──▶ this ──scripts──▶ broker
///     KeptMessages ◀── merges, changes ────────────┘
final class KeptStorage {
    /// The values of this process are those of all servers, for the first time or again after a gap.
    var becameSynced: () -> Void = {}
    private(set) var counters = Counters()

    struct Counters: Sendable, Equatable {
        /// Values written and deleted.
        var writes = 0
        /// Scripts that failed.
        var failures = 0
        /// Stored values that can't be read.
        var damaged = 0
        /// Times that this process became the writer.
        var leasesTaken = 0
    }

    private let store: KeptMessages
    private let broker: any PubSubBroker
    private let publisher: LocalPublisher
    private let configuration: BridgeConfiguration
    private let hostID: ByteString
    private let logger: Logger
    private var replica: KeptReplica
    private let keys: [[UInt8]]
    private var token: [UInt8] = []
    private var tokenNumber = 0
    /// When the last request was published: values from before should be stored.
    private var requestStamp: Int64 = 0
    private var timer: Scheduled<Void>?
    private var timerDeadline: NIODeadline?
    /// The replica knows of a change, so it needn't be told of further ones.
    private var hasNotedChange = false
    private var hasBeenSubscribed = false
    private var isShutDown = false
    private var scratch = JSONWriter(capacity: 256)
    private let treatments: WaitTreatments?
    private var warnings = RepeatLimit()

    /// Nil where nothing is stored: without Redis, and with `--keep-bytes 0`.
    init?(
        store: KeptMessages, broker: any PubSubBroker, publisher: LocalPublisher, configuration: BridgeConfiguration,
        hostID: ByteString, logger: Logger
    ) {
        guard configuration.keepBytes > 0, broker.hasScripts, let redisChannel = configuration.redisChannels.first
        else { return nil }
        self.store = store
        self.broker = broker
        self.publisher = publisher
        self.configuration = configuration
        treatments = WaitTreatments(configuration.rules, keepsOrder: configuration.recovery != nil)
        self.hostID = hostID
        self.logger = logger
        keys = Self.keys(of: redisChannel)
        replica = KeptReplica(host: hostID, jitter: .random(in: 0...1), isExpected: configuration.rules.keepsAny)
    }

    /// The hash and the lease. The braces put both into one slot of a cluster.
    static func keys(of redisChannel: String) -> [[UInt8]] {
        let name = "{ws-emit:kept:\(redisChannel)}"
        return [Array(name.utf8), Array("\(name):writer".utf8)]
    }

    /// True if a joiner gets the last values, or waiting for them is no use: Redis is away, or refuses.
    var isSettled: Bool {
        replica.isSynced || replica.hasFailed || isAway || hasBeenSubscribed && !replica.isSubscribed
    }

    /// False if values may still be read from Redis.
    var isSynced: Bool { replica.isSynced }
    /// Redis is away.
    var isAway = false

    // MARK: Events

    func subscriptionChanged(_ state: SubscriptionState) {
        switch state {
        case .subscribed:
            hasBeenSubscribed = true
            step { $0.subscribed(at: $1) }
        case .lost: step { replica, _ in replica.lost() }
        }
    }

    func requestSeen(of host: ByteString, id: Int64) { step { $0.requestSeen(of: host, id: id, at: $1) } }

    func storedSeen(by writer: ByteString, for host: ByteString, id: Int64) {
        step { $0.storedSeen(by: writer, for: host, id: id, at: $1) }
    }

    /// A value has been kept or forgotten.
    func changed() {
        guard !isShutDown else { return }
        if store.hasTooManyChanges { step { replica, _ in replica.changesOverflowed() } }
        guard !hasNotedChange else { return }
        step { replica, now in
            replica.changed(at: now)
            return []
        }
        hasNotedChange = true
    }

    private func step(_ body: (inout KeptReplica, NIODeadline) -> [KeptReplica.Action]) {
        guard !isShutDown else { return }
        hasNotedChange = false
        replica.hasKept = !store.isEmpty
        let actions = body(&replica, broker.eventLoop.now)
        for action in actions { perform(action) }
        schedule()
    }

    private func schedule() {
        let deadline = replica.nextDeadline
        guard deadline != timerDeadline else { return }
        timer?.cancel()
        timerDeadline = deadline
        timer = deadline.map { deadline in
            let bound = NIOLoopBound(self, eventLoop: broker.eventLoop)
            return broker.eventLoop.scheduleTask(deadline: deadline) { bound.value.timerFired() }
        }
    }

    private func timerFired() {
        timerDeadline = nil
        store.expire(at: WallClock.now())
        step { $0.proceed(at: $1) }
    }

    // MARK: Actions

    private func perform(_ action: KeptReplica.Action) {
        switch action {
        case .beginEpoch: store.beginEpoch()
        case .publishRequest(let id):
            requestStamp = WallClock.now()
            publisher.publishInternal(PubSubMessageEncoder.keptRequest(host: hostID, id: id))
        case .publishStored(let host, let id):
            publisher.publishInternal(PubSubMessageEncoder.keptStored(host: hostID, for: host, id: id))
        case .take(let condition, let unlessEmpty): take(condition, unlessEmpty: unlessEmpty)
        case .merge(let merge, let asWriter):
            if asWriter { store.recordsChanges = true }
            store.beginMerge()
            readPage(Array("0".utf8), merge, asWriter: asWriter, epoch: replica.epoch)
        case .write: write()
        case .stopRecording: store.recordsChanges = false
        case .releaseLease: _ = evaluate(KeptScripts.release, [token])
        case .becameSynced:
            if !store.isEmpty {
                logger.info(
                    "kept messages are those of all servers",
                    metadata: ["messages": "\(store.numbers.values)", "rooms": "\(store.numbers.rooms)"])
            }
            becameSynced()
        }
    }

    private func evaluate(_ script: StaticString, _ arguments: [[UInt8]]) -> EventLoopFuture<[ByteBuffer]> {
        broker.evaluate(script, keys: keys, arguments: arguments)
    }

    private static func text(_ number: some BinaryInteger) -> [UInt8] { Array("\(number)".utf8) }
    private static func milliseconds(_ amount: TimeAmount) -> Int64 { amount.nanoseconds / 1_000_000 }
    private static let leaseMilliseconds = text(milliseconds(KeptReplica.leaseTime))

    private func take(_ condition: KeptReplica.Condition, unlessEmpty: Bool) {
        let epoch = replica.epoch
        takeLease(condition, unlessEmpty: unlessEmpty) { taken in
            self.step { $0.took(taken, epoch: epoch, at: $1) }
        }
    }

    private func takeLease(
        _ condition: KeptReplica.Condition, unlessEmpty: Bool, then done: @escaping (KeptReplica.TakeResult) -> Void
    ) {
        tokenNumber += 1
        let prefix = hostID.bytes + [UInt8(ascii: ":")]
        let token = prefix + Self.text(tokenNumber)
        let quiet: Int64 =
            switch condition {
            case .isAbsent: -1
            case .isQuiet(let amount): Self.milliseconds(amount)
            case .always: 0
            }
        let arguments = [prefix, token, Self.leaseMilliseconds, Self.text(quiet), Self.text(unlessEmpty ? 1 : 0)]
        evaluate(KeptScripts.take, arguments).assumeIsolated().whenComplete { result in
            let taken: KeptReplica.TakeResult
            switch result.map({ $0.first.map { String(buffer: $0) } }) {
            case .success("taken"): taken = .taken
            case .success("ours"): taken = .ours
            case .success("empty"): taken = .empty
            case .success: taken = .held
            case .failure(let error):
                self.noteFailure(error)
                taken = .failed
            }
            if taken == .taken || taken == .ours { self.token = token }
            if taken == .taken { self.counters.leasesTaken += 1 }
            done(taken)
        }
    }

    private func write() {
        let epoch = replica.epoch
        let batch = store.takeChanges(upToBytes: BridgeLimits.keptBatchBytes)
        evaluate(batch).assumeIsolated().whenComplete { result in
            let written: KeptReplica.WriteResult
            switch result.map({ $0.first.map { String(buffer: $0) } }) {
            case .success("written"):
                self.counters.writes += batch.values.count + batch.removals.count
                written = .written(all: batch.isLast)
            case .success: written = .lost
            case .failure(let error):
                self.noteFailure(error)
                self.store.putBack(batch)
                written = .failed
            }
            self.step { $0.wrote(written, epoch: epoch, at: $1) }
        }
    }

    private func evaluate(_ batch: KeptMessages.Batch) -> EventLoopFuture<[ByteBuffer]> {
        let age = max(0, batch.lastExpiry - WallClock.now())
        var arguments = [token, Self.leaseMilliseconds, Self.text(age), Self.text(batch.values.count)]
        for (field, value) in batch.values {
            arguments.append(field)
            arguments.append(value)
        }
        return evaluate(KeptScripts.write, arguments + batch.removals)
    }

    // MARK: Reading

    /// Reads one page after the other; one at a time, so that other commands get in between.
    private func readPage(_ cursor: [UInt8], _ merge: KeptMerge, asWriter: Bool, epoch: Int) {
        let arguments = [
            cursor, Self.text(BridgeLimits.keptPageFields), Self.text(BridgeLimits.keptPageBytes),
            Self.text(StoredValue.maximumFieldBytes), asWriter ? token : [], Self.leaseMilliseconds,
        ]
        evaluate(KeptScripts.scan, arguments).assumeIsolated().whenComplete { result in
            guard epoch == self.replica.epoch else { return }
            switch result {
            case .failure(let error): self.readFailed(error, epoch)
            case .success(let texts):
                let texts = texts.map { Array($0.readableBytesView) }
                var large: [[UInt8]] = []
                for index in stride(from: 1, to: texts.count - 1, by: 2) {
                    let (field, value) = (texts[index], texts[index + 1])
                    if value.isEmpty, !field.isEmpty { large.append(field) } else { self.take(field, value, merge) }
                }
                let next = texts.first ?? Array("0".utf8)
                self.readLarge(large[...], merge, epoch: epoch) {
                    guard next != Array("0".utf8) else { return self.readToEnd(merge, epoch) }
                    self.readPage(next, merge, asWriter: asWriter, epoch: epoch)
                }
            }
        }
    }

    /// Reads values that make a page too long, one by one.
    private func readLarge(
        _ fields: ArraySlice<[UInt8]>, _ merge: KeptMerge, epoch: Int, then done: @escaping () -> Void
    ) {
        guard let field = fields.first else { return done() }
        // The room could not have a longer one.
        let limit = min(configuration.keepBytes, max(configuration.keepRoomBytes, configuration.rules.largestRoomBytes))
        evaluate(KeptScripts.get, [field, Self.text(limit)]).assumeIsolated().whenComplete { result in
            guard epoch == self.replica.epoch else { return }
            switch result {
            case .failure(let error): self.readFailed(error, epoch)
            case .success(let texts):
                self.take(field, texts.first.map { Array($0.readableBytesView) } ?? [], merge)
                self.readLarge(fields.dropFirst(), merge, epoch: epoch, then: done)
            }
        }
    }

    private func take(_ field: [UInt8], _ bytes: [UInt8], _ merge: KeptMerge) {
        guard let slot = StoredValue.slot(ofField: field), let value = StoredValue(bytes) else {
            counters.damaged += 1
            let name = ByteString(bytes: field.prefix(200)).description
            // Many may be damaged; one of them is enough.
            guard warnings.isDue("damaged", at: broker.eventLoop.now) else { return }
            return logger.warning(
                "a kept message in Redis can't be read and is left out: somebody else has written it (docs/redis.md)",
                metadata: ["key": "\(String(decoding: keys[0], as: UTF8.self))", "field": "\(name)"])
        }
        guard value.expires > WallClock.now() else { return }
        let rule = configuration.rules.policy(namespace: slot.namespace, room: slot.room, event: slot.event).keep
        let limits = KeptMessages.RoomLimits(
            bytes: rule?.maxBytes ?? configuration.keepRoomBytes,
            values: rule?.maxValues ?? configuration.keepRoomValues)
        store.merge(
            slot, value, bytes, merge, limits: limits, before: requestStamp,
            packet: {
                value.packet(namespace: slot.namespace, scratch: &self.scratch) { event in
                    self.treatments?.treatment(
                        of: event, namespace: slot.namespace, rooms: .these([slot.room]), key: slot.key) ?? .disconnect
                }
            })
    }

    private func readToEnd(_ merge: KeptMerge, _ epoch: Int) {
        let ownIsNewer = store.finishMerge(merge)
        step { $0.merged(ownIsNewer: ownIsNewer, epoch: epoch, at: $1) }
    }

    private func readFailed(_ error: any Error, _ epoch: Int) {
        noteFailure(error)
        step { $0.mergeFailed(epoch: epoch, at: $1) }
    }

    // MARK: Failures and the end

    private func noteFailure(_ error: any Error) {
        counters.failures += 1
        guard let error = error as? RedisError, error != .shutDown else { return }
        // Nobody uses this, and the user in Redis may be of an earlier release.
        guard !store.isEmpty || configuration.rules.keepsAny else { return }
        guard warnings.isDue("failure", at: broker.eventLoop.now) else { return }
        logger.warning(
            "kept messages can't be stored in Redis at present, new clients get those that this server has (docs/redis.md)",
            metadata: ["key": "\(String(decoding: keys[0], as: UTF8.self))", "cause": "\(error)"])
    }

    /// Writes what isn't written, and gives the lease back, within a second.
    func shutdown() -> EventLoopFuture<Void> {
        let isWriter = replica.isWriter
        isShutDown = true
        timer?.cancel()
        if !isWriter {
            // The writer may have ended before it could write the last messages.
            store.recordsChanges = true
            guard store.markLiveChanged() else { return broker.eventLoop.makeSucceededVoidFuture() }
        }
        let promise = broker.eventLoop.makePromise(of: Void.self)
        let timeout = broker.eventLoop.scheduleTask(in: BridgeLimits.keptShutdownTime) { promise.succeed() }
        promise.futureResult.whenComplete { _ in timeout.cancel() }
        if isWriter {
            writeRest(promise)
        } else {
            takeLease(.isQuiet(KeptReplica.silenceOfDeadWriter), unlessEmpty: false) { taken in
                if taken == .taken || taken == .ours { self.writeRest(promise) } else { promise.succeed() }
            }
        }
        return promise.futureResult
    }

    private func writeRest(_ promise: EventLoopPromise<Void>) {
        let batch = store.takeChanges(upToBytes: BridgeLimits.keptBatchBytes)
        evaluate(batch).assumeIsolated().whenComplete { result in
            if case .success = result, !batch.isLast { return self.writeRest(promise) }
            self.evaluate(KeptScripts.release, [self.token]).assumeIsolated().whenComplete { _ in promise.succeed() }
        }
    }
}
