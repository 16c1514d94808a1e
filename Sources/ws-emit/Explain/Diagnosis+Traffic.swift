/// What the messages tell that were heard while listening.
extension Diagnosis {
    /// What doesn't stand in the way of messages, and ought to be changed.
    var remarks: [Finding] {
        (facts?.senders ?? []).filter { $0.mended > 0 }.prefix(5).map { sender in
            Finding(
                code: "sender_to_mend",
                sentence:
                    "\(sender.mended) messages of sender \(sender.hostID ?? "unknown") are wrongly written, and were taken"
                    + " as they were meant: \(sender.complaints.joined(separator: "; ")).",
                advice: "Mend that sender: servers of python-socketio drop such messages, or deliver them to others.")
        }
    }

    func traffic() -> [Finding] {
        guard let heard, heard.failure == nil, facts?.redis != "none" else { return [] }
        let listened = facts?.channels ?? [question.channel ?? "flask-socketio"]
        var findings: [Finding] = []
        if let facts, let channel = question.channel, !facts.channels.contains(channel) {
            findings.append(wrongChannel(channel, "The backend publishes on \(channel)", facts))
        }
        let here = heard.emits.filter { listened.contains($0.key.channel) }
        let senders = Set(here.keys.filter(isForUs).map(\.hostID))
        let isHeard = !senders.isEmpty
        findings += complaints(heard, on: listened) { hostID in
            // Once messages for the room come by, the mistakes of others are not why.
            !isHeard || senders.contains(hostID)
        }
        let elsewhere = heard.emits.filter { !listened.contains($0.key.channel) }
        if let facts, findings.allSatisfy({ $0.code != "wrong_channel" }) {
            for (channel, emits) in Dictionary(grouping: elsewhere, by: { $0.key.channel }).sorted(by: {
                $0.key < $1.key
            })
            where !isHeard {
                let count = emits.reduce(0) { $0 + $1.value }
                findings.append(wrongChannel(channel, "\(count) messages were seen on \(channel)", facts))
            }
        }
        if isHeard { return findings + otherEvent(here) }
        findings += near(here)
        return findings + silence(heard, findings)
    }

    private func wrongChannel(_ channel: String, _ beginning: String, _ facts: InstanceFacts) -> Finding {
        Finding(
            code: "wrong_channel",
            sentence: "\(beginning), but ws-emit listens to \(facts.channels.joined(separator: ", ")).",
            advice: "Start ws-emit with --channel \(channel), or give the backend channel=\"\(facts.channels[0])\".")
    }

    private func complaints(
        _ heard: Heard, on channels: [String], of isRelevant: (String?) -> Bool
    ) -> [Finding] {
        var findings: [Finding] = []
        for (complaint, count) in heard.complaints.sorted(by: { $0.value > $1.value }).prefix(5)
        where channels.contains(complaint.channel) && isRelevant(complaint.hostID) {
            findings.append(
                Finding(
                    code: "message_refused",
                    sentence: "\(count) messages of sender \(complaint.hostID ?? "unknown") can't be used:"
                        + " \(complaint.text).",
                    advice: "Mend that sender; subspy shows its messages."))
        }
        for sender in facts?.senders ?? []
        where sender.refusals > 0 && isRelevant(sender.hostID)
            && !heard.complaints.contains(where: { $0.key.hostID == sender.hostID })
        {
            findings.append(
                Finding(
                    code: "message_refused",
                    sentence: "\(sender.refusals) messages of sender \(sender.hostID ?? "unknown") were refused:"
                        + " \(sender.lastRefusal ?? "").",
                    advice: "Mend that sender; subspy shows its messages."))
        }
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

    /// Emits that were probably meant for this room.
    private func near(_ emits: [ChannelTraffic.Emit: Int]) -> [Finding] {
        var findings: [Finding] = []
        for (emit, count) in emits.sorted(by: { $0.value > $1.value }) {
            let names = emit.rooms.joined(separator: ", ")
            if emit.rooms.contains(question.room) {
                findings.append(
                    Finding(
                        code: "other_namespace",
                        sentence:
                            "\(count) messages for room \(question.room) go to namespace \(emit.namespace ?? "none").",
                        advice: "Emit with namespace=\"\(question.namespace)\"."))
            } else if emit.namespace == question.namespace, emit.rooms.isEmpty, !emit.isBroadcast {
                findings.append(
                    Finding(
                        code: "other_room",
                        sentence: "\(count) messages go to a room that is no text: no client can be in it.",
                        advice: "Rooms of clients are text: let the backend emit with room=str(…)."))
            } else if emit.namespace == question.namespace,
                emit.rooms.contains(where: { isSimilar($0, to: question.room) })
            {
                findings.append(
                    Finding(
                        code: "other_room", sentence: "\(count) messages go to room \(names), not \(question.room).",
                        advice: "The page's room and the backend's must be the same to the letter."))
            }
        }
        return Array(findings.prefix(5))
    }

    private func silence(_ heard: Heard, _ others: [Finding]) -> [Finding] {
        guard others.isEmpty else { return [] }
        let what = heard.messages == 0 ? "Nothing was published" : "Nothing was published for this room"
        return [
            Finding(
                code: "nothing_published", sentence: "\(what) within \(Self.text(heard.seconds)) seconds.",
                advice: "Emit while explain listens, for longer with --listen 60; subspy shows what is published."
            )
        ]
    }

    private static func text(_ seconds: Double) -> String {
        seconds == seconds.rounded() ? "\(Int(seconds))" : "\(seconds)"
    }
}
