import Bridge
import JSONCodec

/// Turns what the running ws-emit and Redis told into reasons why nothing arrives, the most certain first. No I/O.
struct Diagnosis {
    struct Finding: Equatable {
        /// As programs read it.
        let code: String
        let sentence: String
        /// What to change.
        let advice: String
        /// For what happened before explain listened: how many seconds ago.
        var ageSeconds: Int?
    }

    struct Question {
        let room: String
        let namespace: String
        let event: String?
        /// The channel that the backend is said to publish on.
        let channel: String?
        let redis: String
        /// Whether the backend's Redis was named; else it is the instance's own, without password and options.
        var isRedisNamed = true
        let instance: String
    }

    /// Messages on the channels, as far as they could be heard.
    struct Heard {
        var emits: [ChannelTraffic.Emit: Int] = [:]
        var complaints: [ChannelTraffic.Complaint: Int] = [:]
        var messages = 0
        var hasInstanceCanary = false
        /// Why Redis could not be listened to.
        var failure: String?
        var seconds = 0.0
    }

    let question: Question
    let facts: InstanceFacts
    /// When listening began, in milliseconds since 1970 by the instance's clock. What is older is told as a note.
    let since: Int64
    /// Nil when there is no Redis to listen to.
    let heard: Heard?

    /// What stands in the way; empty when nothing does.
    var findings: [Finding] {
        var findings = nobodyConnected() + connection()
        if let failure = heard?.failure, question.isRedisNamed {
            findings.append(
                Finding(
                    code: "redis_unreachable", sentence: "Redis at \(question.redis) can't be listened to: \(failure).",
                    advice: "Put that right, or name with --redis the one in the backend's message_queue."))
        }
        findings += redis() + audience()
        if facts.members == 0 { findings += refusals.filter { $0.ageSeconds == nil } }
        return findings + traffic()
    }

    /// What doesn't stand in the way now, and is worth knowing.
    var notes: [Finding] {
        var notes = refusals.filter { facts.members > 0 || $0.ageSeconds != nil }
        if let cause = deafness {
            notes.append(
                Finding(
                    code: "redis_unreachable",
                    sentence: "What is published can't be told, since ws-emit's Redis can't be listened to at"
                        + " \(question.redis): \(cause).",
                    advice: "Name it as it is reached from here, with password and options: --redis, or REDIS."))
        }
        return notes + missedMessages + oldSenderRefusals + sendersToFix
    }

    // MARK: ws-emit and its Redis

    private func connection() -> [Finding] {
        facts.reasons.map { reason in
            Finding(
                code: reason.code, sentence: "ws-emit is not ready: \(reason.text).",
                advice: reason.code == "subscription_lost"
                    ? "Put Redis or --redis right; ws-emit is at \(facts.redis) and tries again by itself."
                    : "Look at its log and at /readyz.")
        }
    }

    private func redis() -> [Finding] {
        guard let heard, heard.failure == nil, deafness == nil else { return [] }
        if facts.redis == "none" {
            return [
                Finding(
                    code: "no_redis",
                    sentence: "ws-emit runs with --redis none: it hears nothing of \(question.redis).",
                    advice: "Start ws-emit with --redis \(question.redis), or emit by POST /emit.")
            ]
        }
        if facts.canaryID != nil, !heard.hasInstanceCanary {
            return [
                Finding(
                    code: "other_redis",
                    sentence: "\(question.redis) is not the Redis of ws-emit, which is at \(facts.redis):"
                        + " a message that ws-emit published did not come by.",
                    advice: "Give ws-emit (--redis) and the backend (message_queue) the same server.")
            ]
        }
        return []
    }

    /// Why the Redis that ws-emit told of is not what explain listens to. It is told without password, and as ws-emit reaches
    /// it from its machine.
    var deafness: String? {
        guard let heard, !question.isRedisNamed else { return nil }
        if let failure = heard.failure { return failure }
        return facts.canaryID != nil && !heard.hasInstanceCanary ? "another Redis answers there" : nil
    }

    /// The last time that is over.
    private var missedMessages: [Finding] {
        guard let gap = facts.gaps.last(where: { $0.to != nil }), let to = gap.to else { return [] }
        let length = max(1, Int((to - gap.from + 999) / 1000))
        return [
            Finding(
                code: "messages_missed",
                sentence: "Messages may have been missed for \(Self.count(length, "second")): \(gap.detail).",
                advice: "Let pages join with gap: true and fetch anew (docs/operating.md).",
                ageSeconds: age(to))
        ]
    }

    // MARK: Clients

    private func nobodyConnected() -> [Finding] {
        guard facts.namespaces.isEmpty, facts.sockets == 0 else { return [] }
        let sentence =
            facts.sessions == 0
            ? "No client is connected to this ws-emit at all."
            : "\(Self.count(facts.sessions, "client")) \(facts.sessions == 1 ? "has" : "have") a connection, and none has"
                + " opened a namespace."
        return [
            Finding(
                code: "nobody_connected", sentence: sentence,
                advice: "Open the page, and see in its console that it connects to this ws-emit, by io(url).")
        ]
    }

    private func audience() -> [Finding] {
        var findings: [Finding] = []
        let room = question.room
        if let allowed = facts.allowedNamespaces, !allowed.contains(question.namespace) {
            findings.append(
                Finding(
                    code: "namespace_not_allowed",
                    sentence: "Clients may open \(allowed.joined(separator: ", ")) only, not \(question.namespace).",
                    advice: "Add --namespace \(question.namespace) to ws-emit, or emit to one of those."))
        } else if facts.sockets == 0 {
            if !facts.namespaces.isEmpty { findings.append(noSuchNamespace()) }
        } else if facts.members == 0 {
            findings.append(nobodyInRoom())
        }
        if facts.members == 0, let space = facts.roomSpace, facts.hasSecret == false {
            findings.append(
                Finding(
                    code: "no_room_secret",
                    sentence: "The room-space \(space) of room \(room) has no secret in ws-emit's Redis:"
                        + " nobody can join.",
                    advice: "redis-cli set ws-emit::room_secret::\(space) SECRET, and hand the secret to the page."))
        }
        if facts.members == 0 { findings += facts.secretFindings }
        return findings
    }

    private func noSuchNamespace() -> Finding {
        Finding(
            code: "no_such_namespace",
            sentence: "No client is connected to namespace \(question.namespace); there are clients in"
                + " \(facts.namespaces.joined(separator: ", ")).",
            advice: "The page connects with io(url + \"\(question.namespace)\"), the backend emits with"
                + " namespace=\"\(question.namespace)\": both must be the same.")
    }

    private func nobodyInRoom() -> Finding {
        var sentence = "Nobody is in room \(question.room) of namespace \(question.namespace)."
        var advice = "Let the page join it: socket.emit(\"join\", {room: \"\(question.room)\"})."
        if !facts.similar.isEmpty {
            sentence += " Similar names: \(facts.similar.joined(separator: ", "))."
            advice = "The page's room and the backend's must be the same to the letter."
        }
        if !facts.elsewhere.isEmpty {
            sentence += " A room of that name has members in \(facts.elsewhere.joined(separator: ", "))."
            advice = "Emit to the namespace that the page connects to."
        }
        return Finding(code: "nobody_in_room", sentence: sentence, advice: advice)
    }

    /// What clients didn't get, the latest first and few of each cause; older ones have their age.
    private var refusals: [Finding] {
        var findings: [Finding] = []
        var told: [String: Int] = [:]
        for refusal in facts.refusals where concerns(refusal) {
            told[refusal.cause, default: 0] += 1
            guard told[refusal.cause, default: 0] <= Self.toldOfEach else { continue }
            // A session that has ended is no fault by itself.
            let isOld = refusal.lastAt < since || refusal.cause == "ended_session"
            findings.append(
                Finding(
                    code: refusal.cause, sentence: sentence(of: refusal), advice: Self.capitalized(refusal.advice) + ".",
                    ageSeconds: isOld ? age(refusal.lastAt) : nil))
        }
        return findings
    }

    /// Findings of one kind that are told.
    static let toldOfEach = 5

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
        let were = refusal.count == 1 ? "was" : "were"
        switch refusal.cause {
        case "origin_refused":
            return "\(Self.count(refusal.count, "request")) of pages from \(refusal.detail) \(were) refused; allowed"
                + " \(facts.origins.count == 1 ? "is" : "are") \(facts.origins.joined(separator: ", "))."
        case "join_refused" where refusal.room != "":
            return
                "\(Self.count(refusal.count, "join")) of room \(refusal.room ?? "") \(were) refused: \(refusal.detail)."
        default:
            return Self.capitalized(refusal.text) + (refusal.count == 1 ? "." : " (\(refusal.count) times).")
        }
    }

    func age(_ milliseconds: Int64) -> Int { Int(max(0, facts.now - milliseconds) / 1000) }

    func isSimilar(_ name: String, to wanted: String) -> Bool {
        var names = SimilarNames(to: ByteString(wanted))
        _ = names.compare(ByteString(name))
        return !names.found.isEmpty
    }
}
