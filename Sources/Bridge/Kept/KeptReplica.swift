import Bytes
import NIOCore

/// Decides when this process reads the kept messages of all servers from Redis, and when it writes them: takes what happens, says what
/// to do, and does no I/O.
///
///     subscribed ──request──▶ waiting ──`stored` of the writer──▶ load ──▶ marker ──▶ synced
///                                └──── 500 ms without one ──▶ lease ──▶ marker ──▶ load, merge ──▶ synced, writer
///     synced ── a request that nobody serves for 150 ms, or a lease that has expired ──▶ lease ──▶ marker ──▶ compare ──▶ writer
///
/// Two facts make it right. All servers see the messages of the channel in one order, and a command that a server gives after it has
/// seen a message runs after that message was published. So:
///
/// - A writer that has seen a request has seen every message before it, and says `stored` once Redis has them. Together with what
///   arrives by the subscription, which began before the request, a reader then misses nothing.
/// - A message of our own, the *marker*, comes back after everything that was published before. A reader sends one after it has
///   loaded, and is synced when it is back: no value that it has loaded is still to arrive, so none is followed by an older one. A new
///   writer sends one after it has taken the lease, and writes when it is back: it has seen everything that a former writer may have
///   stored, so a stored value is never replaced by an older one.
///
/// The lease is fencing: each taking has a token of its own, and a script writes only while Redis has that token.
struct KeptReplica {
    // MARK: What to do

    enum Action: Equatable {
        /// Values from before are no longer live.
        case beginEpoch
        case publishRequest(id: Int64)
        /// Tell a server that its request is served; no server (`""`) for a marker.
        case publishStored(for: ByteString, id: Int64)
        /// Take the lease, with a new token, and report `took`.
        case take(Condition, unlessEmpty: Bool)
        /// Read everything that is stored, merge it, and report `merged`. As the writer: record all changes from now on, and extend
        /// the lease meanwhile.
        case merge(KeptMerge, asWriter: Bool)
        /// Write a batch of changes, or only extend the lease if there are none, and report `wrote`.
        case write
        /// Forget the changes that aren't written, and record no more.
        case stopRecording
        case releaseLease
        /// Joins that have waited for this can go on.
        case becameSynced
    }

    /// When the lease of another server may be taken.
    enum Condition: Equatable {
        case isAbsent
        /// It hasn't been extended for so long.
        case isQuiet(TimeAmount)
        case always
    }

    enum TakeResult: Equatable {
        /// Another server had it, or nobody.
        case taken
        /// It was ours all the time.
        case ours
        case held
        /// Nothing is stored, and the lease was left alone (`unlessEmpty`).
        case empty
        case failed
    }

    enum WriteResult: Equatable {
        /// `all`: no change was left when the batch was taken.
        case written(all: Bool)
        /// The lease is another's.
        case lost
        case failed
    }

    // MARK: Times

    /// A synced server serves a request that the writer hasn't served after this time and up to as much more, by its host id.
    static let takeOverDelay = TimeAmount.milliseconds(150)
    /// An unsynced server gives up waiting for `stored` after this time and up to `takeOverDelay` more.
    static let coldDelay = TimeAmount.milliseconds(500)
    /// The shortest time between two writes.
    static let flushInterval = TimeAmount.milliseconds(100)
    static let renewInterval = TimeAmount.seconds(1)
    static let leaseTime = TimeAmount.seconds(3)
    /// A writer that has not extended the lease for so long has ended.
    static let silenceOfDeadWriter = TimeAmount.milliseconds(1500)
    /// How often others look for a lease that has expired.
    static let checkInterval = TimeAmount.seconds(2)
    static let retryInterval = TimeAmount.seconds(1)
    /// The same where nobody keeps anything, and the user in Redis may lack the rights.
    static let unusedRetryInterval = TimeAmount.seconds(60)
    /// A marker that isn't back after this time is lost.
    static let markerTimeout = TimeAmount.seconds(2)
    /// Requests are remembered this long, since a server that had a better view may take over later.
    static let requestAge = TimeAmount.seconds(60)
    static let maximumRequests = 1024

    // MARK: State

    private enum Job { case load(KeptMerge), coldStart, coldStartWithNothing, takeOver }

    private enum Step {
        case idle
        case taking(Job)
        case marking(Job, id: Int64, until: NIODeadline)
        case merging(Job)
        case writing(covering: [Served])
    }

    private struct Served {
        let host: ByteString
        let id: Int64
    }

    private struct Request {
        let id: Int64
        let seen: NIODeadline
        var due: NIODeadline
        var isServed = false
    }

    let host: ByteString
    /// From 0 to 1, of this server.
    private let jitter: Double

    private(set) var isSubscribed = false
    /// Memory has what every server has, as far as the messages have come here.
    private(set) var isSynced = false
    private(set) var isWriter = false
    /// Something failed since the subscription began: joins needn't wait for it.
    private(set) var hasFailed = false
    /// Set by the owner: something is kept here.
    var hasKept = false
    private let isExpected: Bool
    /// Counts subscriptions and losses; a result of an earlier one is ignored.
    private(set) var epoch = 0

    private var step = Step.idle
    private var requestID: Int64 = 0
    private var firstRequestID: Int64 = 0
    private var markerID: Int64 = 0
    /// Unsynced: when waiting for `stored` ends.
    private var coldDue: NIODeadline?
    /// Synced and not the writer: when to look for an expired lease.
    private var checkDue: NIODeadline?
    private var hasChanges = false
    private var lastWrite = NIODeadline.uptimeNanoseconds(0)
    /// The writer has failed to write, but has recorded every change since.
    private var hasUnbrokenChanges = false
    /// A `stored` for us was seen: load again.
    private var wantedMerge: KeptMerge?
    /// What was loaded from a server that has started cold lacks newer values that we have. At most once for each subscription.
    private var wantsWriteBack = false
    private var hasWrittenBack = false
    /// We have become synced without a synced server to serve us.
    private var hasStartedCold = false
    /// … and not written everything yet.
    private var isStartingCold = false
    /// The latest request of each other server.
    private var requests: [ByteString: Request] = [:]
    /// Servers that have become writers without a synced one to serve them, seen by us. If we were synced, our view is better.
    private var coldWriters: Set<ByteString> = []

    /// - Parameter isExpected: a rule keeps messages, so some may be stored.
    init(host: ByteString, jitter: Double, isExpected: Bool = true) {
        self.isExpected = isExpected
        self.host = host
        self.jitter = jitter
    }

    var requestCount: Int { requests.count }

    private func spread(_ amount: TimeAmount) -> TimeAmount { .nanoseconds(Int64(Double(amount.nanoseconds) * jitter)) }

    // MARK: Subscription

    mutating func subscribed(at now: NIODeadline) -> [Action] {
        var actions = lost()
        isSubscribed = true
        firstRequestID = requestID + 1
        actions += [.beginEpoch, request(at: now)]
        return actions
    }

    mutating func lost() -> [Action] {
        let isRecording = isWriter || hasUnbrokenChanges || isTakingOver
        epoch += 1
        (isSubscribed, isSynced, isWriter, hasFailed) = (false, false, false, false)
        (step, coldDue, checkDue, wantedMerge) = (.idle, nil, nil, nil)
        (hasChanges, hasUnbrokenChanges, wantsWriteBack, hasWrittenBack) = (false, false, false, false)
        (hasStartedCold, isStartingCold) = (false, false)
        requests = [:]
        coldWriters = []
        return isRecording ? [.stopRecording] : []
    }

    private var isTakingOver: Bool { if case .merging = step { true } else { false } }

    private mutating func request(at now: NIODeadline) -> Action {
        requestID += 1
        coldDue = now + Self.coldDelay + spread(Self.takeOverDelay)
        return .publishRequest(id: requestID)
    }

    // MARK: Messages

    /// A request in the stream, so after all messages before it.
    mutating func requestSeen(of host: ByteString, id: Int64, at now: NIODeadline) -> [Action] {
        guard isSubscribed, host != self.host else { return [] }
        if requests.count >= Self.maximumRequests, requests[host] == nil {
            requests = requests.filter { now - $0.value.seen < Self.requestAge }
            guard requests.count < Self.maximumRequests else { return [] }
        }
        requests[host] = Request(id: id, seen: now, due: now + Self.takeOverDelay + spread(Self.takeOverDelay))
        return proceed(at: now)
    }

    mutating func storedSeen(by writer: ByteString, for host: ByteString, id: Int64, at now: NIODeadline) -> [Action] {
        guard isSubscribed else { return [] }
        if writer == self.host {
            guard host.isEmpty, case .marking(let job, id, _) = step else { return [] }
            return markerIsBack(job, at: now)
        }
        guard !host.isEmpty else { return [] }
        // A server that has served itself: there was no synced one, or it was slow.
        let isCold = writer == host
        if isCold, coldWriters.count < Self.maximumRequests {
            coldWriters.insert(writer)
            if isSynced {
                let due = now + Self.takeOverDelay + spread(Self.takeOverDelay)
                requests[writer] = Request(id: id, seen: now, due: due)
            }
        }
        if !isSynced || !coldWriters.contains(writer) {
            if let request = requests[host], id >= request.id { requests[host]?.isServed = true }
            if !isCold { coldWriters.remove(host) }
        }
        guard host == self.host, (firstRequestID...max(firstRequestID, requestID)).contains(id) else { return [] }
        wantedMerge = coldWriters.contains(writer) ? .newer : .stored
        return proceed(at: now)
    }

    /// More changes wait than the store may record: all values are compared when this process becomes the writer again.
    mutating func changesOverflowed() -> [Action] {
        guard hasUnbrokenChanges else { return [] }
        hasUnbrokenChanges = false
        return [.stopRecording]
    }

    /// A kept value has changed here.
    mutating func changed(at now: NIODeadline) {
        hasKept = true
        hasChanges = true
        if let coldDue { self.coldDue = min(coldDue, now + Self.coldDelay + Self.retryInterval) }
        if isSynced, !isWriter, checkDue == nil { checkDue = now + spread(Self.takeOverDelay) }
    }

    // MARK: Time

    /// When to call `proceed`; nil if only other events matter.
    var nextDeadline: NIODeadline? {
        switch step {
        case .marking(_, _, let until): return until
        case .taking, .merging, .writing: return nil
        case .idle: break
        }
        guard isSubscribed else { return nil }
        guard isSynced else { return coldDue }
        if isWriter { return hasChanges ? lastWrite + Self.flushInterval : lastWrite + Self.renewInterval }
        let due = requests.values.lazy.filter { !$0.isServed }.map(\.due).min()
        return [due, hasKept || hasUnbrokenChanges ? checkDue : nil].compactMap { $0 }.min()
    }

    /// Does the next thing that is due.
    mutating func proceed(at now: NIODeadline) -> [Action] {
        if case .marking(let job, _, let until) = step, until <= now { return failed(job, at: now) }
        guard isSubscribed, case .idle = step else { return [] }
        if isWriter { return proceedAsWriter(at: now) }
        if let merge = wantedMerge.take() {
            // Loaded values may be ahead of the messages here until the marker is back.
            isSynced = false
            step = .merging(.load(merge))
            return [.merge(merge, asWriter: false)]
        }
        guard isSynced else {
            guard let coldDue, coldDue <= now else { return [] }
            step = .taking(.coldStart)
            return [.take(.isQuiet(Self.coldDelay), unlessEmpty: !hasKept)]
        }
        let isRequestDue = requests.values.contains { !$0.isServed && $0.due <= now }
        if wantsWriteBack || isRequestDue {
            step = .taking(.takeOver)
            let isBetter = wantsWriteBack || !coldWriters.isEmpty
            return [.take(isBetter ? .always : .isQuiet(Self.takeOverDelay), unlessEmpty: !hasKept)]
        }
        if let checkDue, checkDue <= now, hasKept || hasUnbrokenChanges {
            step = .taking(.takeOver)
            return [.take(.isAbsent, unlessEmpty: false)]
        }
        return []
    }

    private mutating func proceedAsWriter(at now: NIODeadline) -> [Action] {
        let covering = unserved
        let isFlushDue = hasChanges && lastWrite + Self.flushInterval <= now
        let isRenewalDue = lastWrite + Self.renewInterval <= now
        // A `stored` of another for us: the lease may be lost, which the next write shows.
        guard !covering.isEmpty || isFlushDue || isRenewalDue || wantedMerge != nil else { return [] }
        if isRenewalDue, !hasKept, !hasChanges, covering.isEmpty {
            isWriter = false
            return [.stopRecording, .releaseLease]
        }
        return write(covering, at: now)
    }

    /// The requests that the next complete write serves: also our own, if nobody else has.
    private var unserved: [Served] {
        let others = requests.filter { !$0.value.isServed }.map { Served(host: $0.key, id: $0.value.id) }
        return others + (isStartingCold ? [Served(host: host, id: requestID)] : [])
    }

    private mutating func write(_ covering: [Served], at now: NIODeadline) -> [Action] {
        hasChanges = false
        lastWrite = now
        step = .writing(covering: covering)
        return [.write]
    }

    // MARK: Results

    mutating func took(_ result: TakeResult, epoch: Int, at now: NIODeadline) -> [Action] {
        guard epoch == self.epoch, case .taking(let job) = step else { return [] }
        step = .idle
        switch (result, job) {
        case (.ours, .takeOver) where hasUnbrokenChanges:
            hasUnbrokenChanges = false
            isWriter = true
            hasChanges = true
            return proceed(at: now)
        case (.taken, _), (.ours, _):
            let wasRecording = hasUnbrokenChanges
            hasUnbrokenChanges = false
            return (wasRecording ? [.stopRecording] : []) + mark(job, at: now)
        case (.empty, .takeOver):
            checkDue = nil
            coldWriters = []
            wantsWriteBack = false
            return serve(unserved)
        case (.empty, _): return mark(.coldStartWithNothing, at: now)
        case (.held, .takeOver):
            let wasRecording = hasUnbrokenChanges
            hasUnbrokenChanges = false
            postpone(until: now + Self.takeOverDelay)
            checkDue = now + Self.checkInterval + spread(Self.checkInterval)
            return (wasRecording ? [.stopRecording] : []) + startAgain(at: now)
        case (.held, _):
            // Somebody else is at it, and will see this request.
            return [request(at: now)] + proceed(at: now)
        case (.failed, _): return failed(job, at: now)
        }
    }

    private mutating func postpone(until time: NIODeadline) {
        for host in requests.keys where requests[host]?.isServed == false {
            requests[host]?.due = time
        }
    }

    private mutating func mark(_ job: Job, at now: NIODeadline) -> [Action] {
        markerID += 1
        step = .marking(job, id: markerID, until: now + Self.markerTimeout)
        return [.publishStored(for: "", id: markerID)]
    }

    private mutating func markerIsBack(_ job: Job, at now: NIODeadline) -> [Action] {
        step = .idle
        switch job {
        case .load, .coldStartWithNothing: return becomeSynced(at: now) + proceed(at: now)
        case .coldStart:
            step = .merging(job)
            return [.merge(.newer, asWriter: true)]
        case .takeOver:
            step = .merging(job)
            // A server that has started cold may have seen a message that we haven't, if we have started cold too.
            return [.merge(coldWriters.isEmpty || !hasStartedCold ? .own : .newer, asWriter: true)]
        }
    }

    private mutating func becomeSynced(at now: NIODeadline) -> [Action] {
        coldDue = nil
        coldWriters = []
        hasFailed = false
        if hasKept { checkDue = now + Self.checkInterval + spread(Self.checkInterval) }
        guard !isSynced else { return [] }
        isSynced = true
        return [.becameSynced]
    }

    /// Everything stored has been read.
    ///
    /// - Parameter ownIsNewer: memory has values that are newer than stored ones, or not stored. In a merge of `.stored`, only values
    ///   count that came before our request: the server that stored them should have seen those.
    mutating func merged(ownIsNewer: Bool, epoch: Int, at now: NIODeadline) -> [Action] {
        guard epoch == self.epoch, case .merging(let job) = step else { return [] }
        step = .idle
        switch job {
        case .load:
            if ownIsNewer, !hasWrittenBack { (wantsWriteBack, hasWrittenBack) = (true, true) }
            return mark(job, at: now)
        case .coldStart, .coldStartWithNothing:
            isWriter = true
            wantedMerge = nil
            let actions = becomeSynced(at: now)
            (hasStartedCold, isStartingCold) = (true, true)
            return actions + write(unserved, at: now)
        case .takeOver:
            isWriter = true
            wantedMerge = nil
            // What Redis had was not right, and others may have loaded it: they load again.
            if ownIsNewer || !coldWriters.isEmpty {
                requests = requests.filter { now - $0.value.seen < Self.requestAge }.mapValues {
                    Request(id: $0.id, seen: $0.seen, due: $0.due)
                }
            }
            wantsWriteBack = false
            coldWriters = []
            return write(unserved, at: now)
        }
    }

    mutating func mergeFailed(epoch: Int, at now: NIODeadline) -> [Action] {
        guard epoch == self.epoch, case .merging(let job) = step else { return [] }
        return failed(job, at: now)
    }

    private mutating func failed(_ job: Job, at now: NIODeadline) -> [Action] {
        hasFailed = true
        var actions: [Action] = []
        // A takeover records from its comparison on.
        if case .merging = step { actions.append(.stopRecording) }
        step = .idle
        if isSynced {
            postpone(until: now + Self.retryInterval)
            checkDue = now + Self.retryInterval
        } else {
            actions.append(request(at: now))
            coldDue = coldDue.map { $0 + (hasKept || isExpected ? Self.retryInterval : Self.unusedRetryInterval) }
        }
        return actions
    }

    mutating func wrote(_ result: WriteResult, epoch: Int, at now: NIODeadline) -> [Action] {
        guard epoch == self.epoch, case .writing(let covering) = step else { return [] }
        step = .idle
        switch result {
        case .written(all: true):
            wantedMerge = nil
            isStartingCold = false
            return serve(covering) + proceed(at: now)
        case .written(all: false): return write(covering, at: now)
        case .lost:
            isWriter = false
            checkDue = now + spread(Self.takeOverDelay)
            return [.stopRecording] + startAgain(at: now) + proceed(at: now)
        case .failed:
            hasFailed = true
            isWriter = false
            hasUnbrokenChanges = true
            wantedMerge = nil
            postpone(until: now + Self.retryInterval)
            checkDue = now + Self.retryInterval
            return []
        }
    }

    /// Another server has the lease before everything that we started with was written: it has not seen our values.
    private mutating func startAgain(at now: NIODeadline) -> [Action] {
        guard isStartingCold else { return [] }
        isStartingCold = false
        isSynced = false
        return [request(at: now)]
    }

    private mutating func serve(_ covering: [Served]) -> [Action] {
        covering.map { served in
            if let request = requests[served.host], served.id >= request.id { requests[served.host]?.isServed = true }
            return .publishStored(for: served.host, id: served.id)
        }
    }
}

/// How stored values meet those in memory. Live values, received since the subscription began, always win.
enum KeptMerge: Equatable {
    /// A synced server has stored them: they replace what is in memory.
    case stored
    /// Nobody was synced: the newer one of both stays.
    case newer
    /// Memory is right, and what differs is written.
    case own
}
