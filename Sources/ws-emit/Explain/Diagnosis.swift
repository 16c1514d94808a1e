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
    let since: Int64
    /// Nil when there is no Redis to listen to.
    let heard: Heard?

    /// Obstacles; empty if nothing stands in the way.
    var findings: [Finding] {
        var findings = nobodyConnected() + connection()
        if let failure = heard?.failure, question.isRedisNamed {
            findings.append(
                Finding(
                    code: "redis_unreachable", sentence: "Listening to Redis at \(question.redis) failed: \(failure).",
                    advice: "Fix that, or name the Redis of the backend's message_queue with --redis."))
        }
        findings += redis() + audience()
        if facts.members == 0 { findings += refusals.filter { $0.ageSeconds == nil } }
        return findings + traffic()
    }

    /// Facts worth knowing that are no obstacle now.
    var notes: [Finding] {
        var notes = refusals.filter { facts.members > 0 || $0.ageSeconds != nil }
        if let cause = listeningProblem {
            notes.append(
                Finding(
                    code: "redis_unreachable",
                    sentence: "explain can't see published messages, because listening to ws-emit's Redis at"
                        + " \(question.redis) failed: \(cause).",
                    advice: "Give its URL from this machine, with password and options: --redis, or REDIS."))
        }
        return notes + missedMessages + oldSenderRefusals + sendersToFix
    }

    // MARK: ws-emit and its Redis

    private func connection() -> [Finding] {
        facts.reasons.map { reason in
            Finding(
                code: reason.code, sentence: "ws-emit is not ready: \(reason.text).",
                advice: reason.code == "subscription_lost"
                    ? "Fix Redis or --redis; ws-emit uses \(facts.redis) and keeps trying."
                    : "See its log and /readyz.")
        }
    }

    private func redis() -> [Finding] {
        guard let heard, heard.failure == nil, listeningProblem == nil else { return [] }
        if facts.redis == "none" {
            return [
                Finding(
                    code: "no_redis",
                    sentence: "ws-emit runs with --redis none, so it gets no messages from \(question.redis).",
                    advice: "Start ws-emit with --redis \(question.redis), or emit by POST /emit.")
            ]
        }
        if facts.canaryID != nil, !heard.hasInstanceCanary {
            return [
                Finding(
                    code: "other_redis",
                    sentence: "\(question.redis) is not the Redis of ws-emit, which is at \(facts.redis):"
                        + " a message published by ws-emit did not come by.",
                    advice: "Give ws-emit (--redis) and the backend (message_queue) the same server.")
            ]
        }
        return []
    }

    /// Why explain can't listen to ws-emit's Redis. ws-emit gives its URL without the password, and as it is on ws-emit's
    /// machine.
    var listeningProblem: String? {
        guard let heard, !question.isRedisNamed else { return nil }
        if let failure = heard.failure { return failure }
        return facts.canaryID != nil && !heard.hasInstanceCanary ? "another Redis answers there" : nil
    }

    /// The last gap that is over.
    private var missedMessages: [Finding] {
        guard let gap = facts.gaps.last(where: { $0.to != nil }), let to = gap.to else { return [] }
        let length = max(1, Int((to - gap.from + 999) / 1000))
        return [
            Finding(
                code: "messages_missed",
                sentence: "Messages may have been missed for \(Self.count(length, "second")): \(gap.detail).",
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
            : "\(Self.count(facts.sessions, "client")) \(facts.sessions == 1 ? "has" : "have") a connection, but none has"
                + " opened a namespace."
        return [
            Finding(
                code: "nobody_connected", sentence: sentence,
                advice: "Open the page, and check in its console that it connects to this ws-emit with io(url).")
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
            advice = "The room names in the page and the backend must match exactly."
        }
        if !facts.elsewhere.isEmpty {
            sentence += " A room of that name has members in \(facts.elsewhere.joined(separator: ", "))."
            advice = "Emit to the namespace that the page connects to."
        }
        return Finding(code: "nobody_in_room", sentence: sentence, advice: advice)
    }

    /// Refused clients, the latest first and few of each cause; older ones have their age.
    private var refusals: [Finding] {
        var findings: [Finding] = []
        var counts: [String: Int] = [:]
        for refusal in facts.refusals where concerns(refusal) {
            counts[refusal.cause, default: 0] += 1
            guard counts[refusal.cause, default: 0] <= Self.maximumOfEach else { continue }
            // An ended session alone is not a fault.
            let isOld = refusal.lastAt < since || refusal.cause == "ended_session"
            findings.append(
                Finding(
                    code: refusal.cause, sentence: sentence(of: refusal),
                    advice: Self.capitalized(refusal.advice) + ".",
                    ageSeconds: isOld ? age(refusal.lastAt) : nil))
        }
        return findings
    }

    /// Findings of one kind at most.
    static let maximumOfEach = 5

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
