import Bridge
import Bytes

/// Finds the reasons why nothing arrives, from the facts of the running ws-emit and from Redis. The most certain reason
/// comes first. No I/O.
struct Diagnosis {
    struct Finding: Equatable {
        /// For programs.
        let code: String
        let sentence: String
        /// The change to make.
        let advice: String
        /// Age of an event from before explain listened, in seconds.
        var ageSeconds: Int?

        init(_ code: String, _ sentence: String, advice: String, ageSeconds: Int? = nil) {
            (self.code, self.sentence, self.advice, self.ageSeconds) = (code, sentence, advice, ageSeconds)
        }
    }

    struct Question {
        let room: String
        let namespace: String
        let event: String?
        /// The backend's channel according to the command line.
        let channel: String?
        let redis: String
        /// True if the command line named the backend's Redis. Otherwise it is the instance's, without password and options.
        var isRedisNamed = true
        let instance: String
    }

    /// The messages that explain heard on the channels.
    struct Heard {
        var emits: [ChannelTraffic.Emit: Int] = [:]
        var droppedMessages: [ChannelTraffic.DroppedMessage: Int] = [:]
        var messages = 0
        var hasInstanceCanary = false
        /// Why listening to Redis failed.
        var failure: String?
        var seconds = 0.0
    }

    let question: Question
    let facts: InstanceFacts
    /// When listening began, in milliseconds since 1970 by the instance's clock. Older events are notes.
    let since: Int
    /// Nil when there is no Redis to listen to.
    let heard: Heard?

    /// Findings of one kind at most.
    static let maximumOfEach = 5

    /// Obstacles; empty if nothing stands in the way.
    var findings: [Finding] {
        var findings = nobodyConnected() + notReady()
        if let failure = heard?.failure, question.isRedisNamed { findings.append(unreachableRedis(failure)) }
        findings += otherRedis() + audience()
        if facts.members == 0 { findings += refusals.filter { $0.ageSeconds == nil } }
        return findings + traffic()
    }

    /// Facts worth knowing that are no obstacle now.
    var notes: [Finding] {
        var notes = refusals.filter { facts.members > 0 || $0.ageSeconds != nil }
        if let cause = listeningProblem {
            notes.append(
                Finding(
                    "redis_unreachable",
                    "explain can't see published messages, because listening to ws-emit's Redis at \(question.redis)"
                        + " failed: \(Self.sentence(cause))",
                    advice: "Give its URL from this machine, with password and options: --redis, or REDIS."))
        }
        return notes + missedMessages + oldSenderRefusals + sendersToFix
    }

    // MARK: ws-emit and its Redis

    private func notReady() -> [Finding] {
        facts.reasons.map { reason in
            Finding(
                reason.code, "ws-emit is not ready: \(Self.sentence(reason.text))",
                advice: reason.code == "subscription_lost"
                    ? "Fix Redis or --redis; ws-emit uses \(facts.redis) and keeps trying." : "See its log and /readyz."
            )
        }
    }

    private func unreachableRedis(_ failure: String) -> Finding {
        Finding(
            "redis_unreachable", "Listening to Redis at \(question.redis) failed: \(Self.sentence(failure))",
            advice: failure.contains("NOAUTH")
                ? "Give the password: --redis redis://:PASSWORD@HOST:PORT/DB, or --redis-password-file."
                : "Fix that, or name the Redis of the backend's message_queue with --redis.")
    }

    /// ws-emit and the backend use different servers.
    private func otherRedis() -> [Finding] {
        guard let heard, heard.failure == nil, listeningProblem == nil else { return [] }
        if facts.redis == "none" {
            return [
                Finding(
                    "no_redis", "ws-emit runs with --redis none, so it gets no messages from \(question.redis).",
                    advice: "Start ws-emit with --redis \(question.redis), or emit by POST /emit.")
            ]
        }
        guard isCanaryMissing(heard) else { return [] }
        return [
            Finding(
                "other_redis",
                "\(question.redis) is not the Redis of ws-emit, which is at \(facts.redis): a message published by"
                    + " ws-emit did not come by.",
                advice: "Give ws-emit (--redis) and the backend (message_queue) the same server.")
        ]
    }

    /// Why explain can't listen to ws-emit's Redis. ws-emit gives its URL without the password, and as it is on ws-emit's
    /// machine.
    var listeningProblem: String? {
        guard let heard, !question.isRedisNamed else { return nil }
        return heard.failure ?? (isCanaryMissing(heard) ? "another Redis replies there" : nil)
    }

    /// True if the canary that ws-emit sent did not come by here. If ws-emit itself misses its canaries, perhaps because it
    /// may not publish, that tells nothing about this Redis.
    private func isCanaryMissing(_ heard: Heard) -> Bool {
        facts.canaryID != nil && !heard.hasInstanceCanary
            && !facts.reasons.contains { ["canary_overdue", "starting"].contains($0.code) }
    }

    /// The last gap that is over.
    private var missedMessages: [Finding] {
        guard let gap = facts.gaps.last(where: { $0.to != nil }), let to = gap.to else { return [] }
        let length = max(1, (to - gap.from + 999) / 1000)
        return [
            Finding(
                "messages_missed",
                "Messages may have been missed for \(Self.count(length, "second")): \(Self.sentence(gap.detail))",
                advice: "Let pages join with gap: true and fetch their data again (docs/operating.md).",
                ageSeconds: age(to))
        ]
    }

    // MARK: Clients

    private func nobodyConnected() -> [Finding] {
        guard facts.namespaces.isEmpty, facts.sockets == 0 else { return [] }
        let sentence =
            facts.sessions == 0
            ? "No client is connected to this ws-emit at all."
            : "\(Self.count(facts.sessions, "client", "has", "have")) a connection, but none has opened a namespace."
        return [
            Finding(
                "nobody_connected", sentence,
                advice: "Open the page, and check in its console that it connects to this ws-emit with io(url).")
        ]
    }

    private func audience() -> [Finding] {
        if let allowed = facts.allowedNamespaces, !allowed.contains(question.namespace) {
            return [
                Finding(
                    "namespace_not_allowed",
                    "Clients may open \(Self.list(allowed)) only, not \(question.namespace).",
                    advice: "Add --namespace \(question.namespace) to ws-emit, or emit to one of those.")
            ] + secrets()
        }
        if facts.sockets == 0 { return (facts.namespaces.isEmpty ? [] : [noSuchNamespace()]) + secrets() }
        return (facts.members == 0 ? [nobodyInRoom()] : []) + secrets()
    }

    /// Problems with the secret of the room-space.
    private func secrets() -> [Finding] {
        guard facts.members == 0 else { return [] }
        // The text from ws-emit contains the fix after a colon.
        var findings = facts.secretProblems.map { problem in
            let parts = problem.text.split(separator: ": ", maxSplits: 1).map(String.init)
            return Finding(
                problem.code, Self.capitalized(Self.sentence(parts.first ?? "")),
                advice: Self.capitalized(Self.sentence(parts.last ?? "")))
        }
        // A secret that can't be used isn't missing.
        if let space = facts.roomSpace, facts.hasSecret == false, findings.isEmpty {
            findings.append(
                Finding(
                    "no_room_secret",
                    "The room-space \(space) of room \(question.room) has no secret in ws-emit's Redis: nobody can join.",
                    advice: "redis-cli set ws-emit::room_secret::\(space) SECRET, and hand the secret to the page."))
        }
        return findings
    }

    private func noSuchNamespace() -> Finding {
        Finding(
            "no_such_namespace",
            "No client is connected to namespace \(question.namespace); there are clients in"
                + " \(Self.list(facts.namespaces)).",
            advice: "The page connects with io(url + \"\(question.namespace)\"), the backend emits with"
                + " namespace=\"\(question.namespace)\": both must be the same.")
    }

    private func nobodyInRoom() -> Finding {
        var sentence = "Nobody is in room \(question.room) of namespace \(question.namespace)."
        let secret = facts.roomSpace == nil ? "" : ", secret: \"…\""
        var advice = "Let the page join it: socket.emit(\"join\", {room: \"\(question.room)\"\(secret)})."
        if !facts.similar.isEmpty {
            sentence += " Similar names: \(Self.list(facts.similar))."
            advice = "The room names in the page and the backend must match exactly."
        }
        if !facts.elsewhere.isEmpty {
            sentence += " A room of that name has members in \(Self.list(facts.elsewhere))."
            advice = "Emit to the namespace that the page connects to."
        }
        return Finding("nobody_in_room", sentence, advice: advice)
    }

    /// Refused clients, the latest first and few of each cause; older ones have their age.
    private var refusals: [Finding] {
        var counts: [String: Int] = [:]
        return facts.refusals.filter(concerns).compactMap { refusal in
            counts[refusal.cause, default: 0] += 1
            guard counts[refusal.cause, default: 0] <= Self.maximumOfEach else { return nil }
            // An ended session alone is not a fault.
            let isOld = refusal.lastAt < since || refusal.cause == "ended_session"
            return Finding(
                refusal.cause, sentence(of: refusal), advice: Self.capitalized(Self.sentence(refusal.advice)),
                ageSeconds: isOld ? age(refusal.lastAt) : nil)
        }
    }

    private func concerns(_ refusal: InstanceFacts.Refusal) -> Bool {
        switch refusal.cause {
        case "join_refused":
            guard let room = refusal.room else { return false }
            return refusal.namespace == question.namespace
                && (room.isEmpty || room == question.room || isSimilar(room, to: question.room))
        case "namespace_refused": return refusal.detail != question.namespace
        default: return true
        }
    }

    private func sentence(of refusal: InstanceFacts.Refusal) -> String {
        switch refusal.cause {
        case "origin_refused":
            return Self.count(refusal.count, "request") + " of pages from \(refusal.detail)"
                + " \(refusal.count == 1 ? "was" : "were") refused; allowed"
                + " \(facts.origins.count == 1 ? "is" : "are") \(Self.list(facts.origins))."
        case "join_refused" where refusal.room != "":
            return Self.count(refusal.count, "join") + " of room \(refusal.room ?? "")"
                + " \(refusal.count == 1 ? "was" : "were") refused: \(refusal.detail)."
        default:
            return Self.capitalized(refusal.text) + (refusal.count == 1 ? "." : " (\(refusal.count) times).")
        }
    }

    func age(_ milliseconds: Int) -> Int { max(0, facts.now - milliseconds) / 1000 }

    func isSimilar(_ name: String, to wanted: String) -> Bool {
        var names = SimilarNames(to: ByteString(wanted))
        _ = names.compare(ByteString(name))
        return !names.found.isEmpty
    }
}
