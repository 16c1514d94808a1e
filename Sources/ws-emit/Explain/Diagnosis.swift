import Bridge
import JSONCodec

/// Turns what the running ws-emit and Redis told into reasons why nothing arrives, the most certain first. No I/O.
struct Diagnosis {
    struct Finding {
        /// As programs read it.
        let code: String
        let sentence: String
        /// What to change.
        let advice: String
    }

    struct Question {
        let room: String
        let namespace: String
        let event: String?
        /// The channel that the backend is said to publish on.
        let channel: String?
        let redis: String
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
    let facts: InstanceFacts?
    /// Why the instance could not be asked.
    let instanceFailure: Finding?
    /// Nil when explain was told that there is no Redis.
    let heard: Heard?

    /// Empty when nothing stands in the way.
    var findings: [Finding] {
        var findings = [instanceFailure].compactMap { $0 }
        if let facts { findings += connection(facts) }
        if let failure = heard?.failure {
            findings.append(
                Finding(
                    code: "redis_unreachable", sentence: "Redis at \(question.redis) can't be listened to: \(failure).",
                    advice: "Mend that, or name with --redis the one in the backend's message_queue."))
        }
        if let facts { findings += redis(facts) + audience(facts) }
        findings += traffic()
        return findings
    }

    // MARK: ws-emit and its Redis

    private func connection(_ facts: InstanceFacts) -> [Finding] {
        facts.reasons.map { reason in
            Finding(
                code: reason.code, sentence: "ws-emit is not ready: \(reason.text).",
                advice: reason.code == "subscription_lost"
                    ? "Mend Redis or --redis; ws-emit is at \(facts.redis) and tries again by itself."
                    : "Look at its log and at /readyz.")
        }
    }

    private func redis(_ facts: InstanceFacts) -> [Finding] {
        guard let heard, heard.failure == nil else { return [] }
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

    // MARK: Clients

    private func audience(_ facts: InstanceFacts) -> [Finding] {
        var findings: [Finding] = []
        let room = question.room
        if let allowed = facts.allowedNamespaces, !allowed.contains(question.namespace) {
            findings.append(
                Finding(
                    code: "namespace_not_allowed",
                    sentence: "Clients may open \(allowed.joined(separator: ", ")) only, not \(question.namespace).",
                    advice: "Add --namespace \(question.namespace) to ws-emit, or emit to one of those."))
        } else if facts.sockets == 0 {
            let others =
                facts.namespaces.isEmpty
                ? "nobody is connected at all" : "there are clients in \(facts.namespaces.joined(separator: ", "))"
            findings.append(
                Finding(
                    code: "no_such_namespace",
                    sentence: "No client is connected to namespace \(question.namespace); \(others).",
                    advice: "The page connects with io(url + \"\(question.namespace)\"), the backend emits with"
                        + " namespace=\"\(question.namespace)\": both must be the same."))
        } else if facts.members == 0 {
            findings.append(nobodyInRoom(facts))
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
        if facts.members == 0 { findings += refusals(facts) }
        return findings
    }

    private func nobodyInRoom(_ facts: InstanceFacts) -> Finding {
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

    private func refusals(_ facts: InstanceFacts) -> [Finding] {
        var findings: [Finding] = []
        for refusal in facts.refusals {
            if let origin = refusal.origin.map({ OriginAdvice(refused: $0, allowed: facts.origins) }) {
                findings.append(
                    Finding(
                        code: "origin_refused",
                        sentence:
                            "\(refusal.count) requests of pages from \(origin.origin) were refused lately; allowed are"
                            + " \(facts.origins.joined(separator: ", ")).",
                        advice: origin.advice.prefix(1).uppercased() + origin.advice.dropFirst() + "."))
            } else if let room = refusal.room, refusal.roomNamespace == question.namespace,
                room == question.room || isSimilar(room, to: question.room)
            {
                findings.append(
                    Finding(
                        code: "join_refused",
                        sentence:
                            "\(refusal.count) joins of room \(room) were refused lately: \(refusal.reason ?? "").",
                        advice: "Read the answer in the page: socket.emit(\"join\", …, answer => …)."))
            } else if let namespace = refusal.namespace, namespace != question.namespace {
                findings.append(
                    Finding(
                        code: "namespace_refused",
                        sentence:
                            "\(refusal.count) clients wanted the namespace \(namespace), which --namespace forbids.",
                        advice: "Add --namespace \(namespace) to ws-emit, if pages should use it."))
            }
        }
        return findings
    }

    func isSimilar(_ name: String, to wanted: String) -> Bool {
        var names = SimilarNames(to: ByteString(wanted))
        _ = names.compare(ByteString(name))
        return !names.found.isEmpty
    }
}
