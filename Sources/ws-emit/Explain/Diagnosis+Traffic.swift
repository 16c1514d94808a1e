/// Findings from the messages that explain heard.
extension Diagnosis {
    var sendersToFix: [Finding] {
        facts.senders.filter { $0.corrected > 0 }.prefix(Self.maximumOfEach).map { sender in
            let are = sender.corrected == 1 ? "is" : "are"
            return Finding(
                code: "sender_to_fix",
                sentence:
                    "\(Self.count(sender.corrected, "message")) of sender \(sender.hostID ?? "unknown") \(are)"
                    + " malformed, and delivered as intended: \(sender.mistakes.joined(separator: "; ")).",
                advice: "Fix that sender: servers of python-socketio drop such messages, or deliver them to others.")
        }
    }

    /// Senders with messages refused before explain listened.
    var oldSenderRefusals: [Finding] {
        facts.senders.filter { $0.refusals > 0 && $0.lastRefusedAt < since }.prefix(Self.maximumOfEach).map { sender in
            var finding = refusal(of: sender)
            finding.ageSeconds = age(sender.lastRefusedAt)
            return finding
        }
    }

    private func refusal(of sender: InstanceFacts.Sender) -> Finding {
        Finding(
            code: "message_refused",
            sentence: "\(Self.count(sender.refusals, "message")) of sender \(sender.hostID ?? "unknown")"
                + " \(sender.refusals == 1 ? "was" : "were") refused: \(sender.lastRefusal ?? "").",
            advice: "Change that sender; subspy shows its messages.")
    }

    func traffic() -> [Finding] {
        guard let heard, heard.failure == nil, listeningProblem == nil, facts.redis != "none" else { return [] }
        let listened = facts.channels
        var findings: [Finding] = []
        if let channel = question.channel, !facts.channels.contains(channel) {
            findings.append(wrongChannel(channel, "The backend publishes on \(channel)"))
        }
        let here = heard.emits.filter { listened.contains($0.key.channel) }
        let senders = Set(here.keys.filter(isForUs).map(\.hostID))
        let isHeard = !senders.isEmpty
        findings += droppedMessages(heard, on: listened) { hostID in
            // If messages for the room come by, other senders' mistakes are not the cause.
            !isHeard || senders.contains(hostID)
        }
        let elsewhere = heard.emits.filter { !listened.contains($0.key.channel) }
        if findings.allSatisfy({ $0.code != "wrong_channel" }) {
            for (channel, emits) in Dictionary(grouping: elsewhere, by: { $0.key.channel }).sorted(by: {
                $0.key < $1.key
            })
            where !isHeard {
                let count = emits.reduce(0) { $0 + $1.value }
                let seen = "\(Self.count(count, "message")) \(count == 1 ? "was" : "were") seen on \(channel)"
                findings.append(wrongChannel(channel, seen))
            }
        }
        if isHeard { return findings + otherEvent(here) }
        findings += near(here)
        return findings + silence(heard, findings)
    }

    private func wrongChannel(_ channel: String, _ beginning: String) -> Finding {
        Finding(
            code: "wrong_channel",
            sentence: "\(beginning), but ws-emit listens to \(facts.channels.joined(separator: ", ")).",
            advice:
                "Start ws-emit with --channel \(channel), or give the backend channel=\"\(facts.channels.first ?? "")\"."
        )
    }

    private func droppedMessages(
        _ heard: Heard, on channels: [String], of isRelevant: (String?) -> Bool
    ) -> [Finding] {
        var findings: [Finding] = []
        for (dropped, count) in heard.droppedMessages.sorted(by: { $0.value > $1.value }).prefix(Self.maximumOfEach)
        where channels.contains(dropped.channel) && isRelevant(dropped.hostID) {
            findings.append(
                Finding(
                    code: "message_refused",
                    sentence:
                        "\(Self.count(count, "message")) of sender \(dropped.hostID ?? "unknown") \(count == 1 ? "is" : "are") unusable:"
                        + " \(dropped.text).",
                    advice: "Change that sender; subspy shows its messages."))
        }
        for sender in facts.senders
        where sender.refusals > 0 && sender.lastRefusedAt >= since && isRelevant(sender.hostID)
            && !heard.droppedMessages.contains(where: { $0.key.hostID == sender.hostID })
        { findings.append(refusal(of: sender)) }
        return findings
    }

    private func isForUs(_ emit: ChannelTraffic.Emit) -> Bool {
        emit.namespace == question.namespace && (emit.isBroadcast || emit.rooms.contains(question.room))
    }

    private func otherEvent(_ emits: [ChannelTraffic.Emit: Int]) -> [Finding] {
        guard let event = question.event else { return [] }
        let events = Set(emits.keys.filter(isForUs).compactMap(\.event))
        guard !events.contains(event) else { return [] }
        return [
            Finding(
                code: "other_event",
                sentence: "The room gets \(events.sorted().joined(separator: ", ")), but no event \(event).",
                advice: "The name in emit(…) and in the page's socket.on(…) must be the same.")
        ]
    }

    /// Emits that were probably for this room.
    private func near(_ emits: [ChannelTraffic.Emit: Int]) -> [Finding] {
        var findings: [Finding] = []
        for (emit, count) in emits.sorted(by: { $0.value > $1.value }) {
            let names = emit.rooms.joined(separator: ", ")
            let goes = count == 1 ? "goes" : "go"
            if emit.rooms.contains(question.room) {
                findings.append(
                    Finding(
                        code: "other_namespace",
                        sentence: "\(Self.count(count, "message")) for room \(question.room) \(goes) to namespace"
                            + " \(emit.namespace ?? "none").",
                        advice: "Emit with namespace=\"\(question.namespace)\"."))
            } else if emit.namespace == question.namespace, emit.rooms.isEmpty, !emit.isBroadcast {
                findings.append(
                    Finding(
                        code: "other_room",
                        sentence:
                            "\(Self.count(count, "message")) \(goes) to a room that is not text: no client can be in it.",
                        advice: "Rooms of clients are text: let the backend emit with room=str(…)."))
            } else if emit.namespace == question.namespace,
                emit.rooms.contains(where: { isSimilar($0, to: question.room) })
            {
                findings.append(
                    Finding(
                        code: "other_room",
                        sentence: "\(Self.count(count, "message")) \(goes) to room \(names), not \(question.room).",
                        advice: "The room names in the page and the backend must match exactly."))
            }
        }
        return Array(findings.prefix(Self.maximumOfEach))
    }

    private func silence(_ heard: Heard, _ others: [Finding]) -> [Finding] {
        guard others.isEmpty else { return [] }
        let what = heard.messages == 0 ? "Nothing was published" : "Nothing was published for this room"
        return [
            Finding(
                code: "nothing_published", sentence: "\(what) within \(Self.seconds(heard.seconds)).",
                advice: "Emit while explain listens, or listen longer with --listen 60; subspy shows all messages."
            )
        ]
    }
}
