/// Findings from the messages that explain heard.
extension Diagnosis {
    var sendersToFix: [Finding] {
        facts.senders.filter { $0.corrected > 0 }.prefix(Self.maximumOfEach).map { sender in
            Finding(
                "sender_to_fix",
                Self.messages(sender.corrected, of: sender.hostID, "is", "are")
                    + " malformed, and taken as intended: \(sender.mistakes.joined(separator: "; ")).",
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
        messageRefused(
            Self.messages(sender.refusals, of: sender.hostID, "was", "were")
                + " refused\(sender.refusals == 1 ? "" : ", the last one"): \(Self.sentence(sender.lastRefusal))")
    }

    private func messageRefused(_ sentence: String) -> Finding {
        Finding("message_refused", sentence, advice: "Change that sender; subspy shows its messages.")
    }

    /// `2 messages of sender x are`
    private static func messages(_ count: Int, of hostID: String?, _ one: String, _ many: String) -> String {
        "\(Self.count(count, "message")) of \(hostID.map { "sender \($0)" } ?? "senders without host id")"
            + " \(count == 1 ? one : many)"
    }

    func traffic() -> [Finding] {
        guard let heard, heard.failure == nil, listeningProblem == nil, facts.redis != "none" else { return [] }
        let here = heard.emits.filter { facts.channels.contains($0.key.channel) }
        let senders = Set(here.keys.filter(isForUs).map(\.hostID))
        let isHeard = !senders.isEmpty
        var findings: [Finding] = []
        if let channel = question.channel, !facts.channels.contains(channel) {
            findings.append(wrongChannel(channel, "The backend publishes on \(channel)"))
        }
        // If messages for the room come by, other senders' mistakes are not the cause.
        findings += droppedMessages(heard) { !isHeard || senders.contains($0) }
        if isHeard { return findings + otherEvent(here) }
        if !findings.contains(where: { $0.code == "wrong_channel" }) { findings += otherChannels(heard) }
        findings += near(here)
        return findings.isEmpty ? [silence(heard)] : findings
    }

    private func otherChannels(_ heard: Heard) -> [Finding] {
        let counts = heard.emits.reduce(into: [:]) { $0[$1.key.channel, default: 0] += $1.value }
        return counts.filter { !facts.channels.contains($0.key) }.sorted { $0.key < $1.key }.map { channel, count in
            wrongChannel(channel, "\(Self.count(count, "message", "was", "were")) seen on \(channel)")
        }
    }

    private func wrongChannel(_ channel: String, _ beginning: String) -> Finding {
        Finding(
            "wrong_channel", "\(beginning), but ws-emit listens to \(Self.list(facts.channels)).",
            advice: "Start ws-emit with --channel \(channel), or give the backend"
                + " channel=\"\(facts.channels.first ?? "")\".")
    }

    private func droppedMessages(_ heard: Heard, of isRelevant: (String?) -> Bool) -> [Finding] {
        let dropped = heard.droppedMessages.sorted { $0.value > $1.value }.prefix(Self.maximumOfEach).filter {
            facts.channels.contains($0.key.channel) && isRelevant($0.key.hostID)
        }
        let known = Set(heard.droppedMessages.keys.map(\.hostID))
        let refused = facts.senders.filter {
            $0.refusals > 0 && $0.lastRefusedAt >= since && isRelevant($0.hostID) && !known.contains($0.hostID)
        }
        return dropped.map { message, count in
            messageRefused(
                Self.messages(count, of: message.hostID, "is", "are") + " unusable: \(Self.sentence(message.text))")
        } + refused.map(refusal)
    }

    private func isForUs(_ emit: ChannelTraffic.Emit) -> Bool {
        emit.namespace == question.namespace && (emit.isBroadcast || emit.rooms.contains(question.room))
    }

    private func otherEvent(_ emits: [ChannelTraffic.Emit: Int]) -> [Finding] {
        let events = Set(emits.keys.filter(isForUs).compactMap(\.event))
        guard let event = question.event, !events.contains(event) else { return [] }
        return [
            Finding(
                "other_event", "The room gets \(Self.list(events.sorted())), but no event \(event).",
                advice: "The name in emit(…) and in the page's socket.on(…) must be the same.")
        ]
    }

    /// Emits that were probably for this room, the most frequent first.
    private func near(_ emits: [ChannelTraffic.Emit: Int]) -> [Finding] {
        let found = emits.sorted { $0.value > $1.value }.compactMap { emit, count in near(emit, count) }
        return Array(found.prefix(Self.maximumOfEach))
    }

    private func near(_ emit: ChannelTraffic.Emit, _ count: Int) -> Finding? {
        if emit.rooms.contains(question.room) {
            return Finding(
                "other_namespace",
                "\(Self.count(count, "message")) for room \(question.room) \(count == 1 ? "goes" : "go") to namespace"
                    + " \(emit.namespace ?? "none").",
                advice: "Emit with namespace=\"\(question.namespace)\".")
        }
        guard emit.namespace == question.namespace else { return nil }
        if emit.rooms.isEmpty, !emit.isBroadcast {
            return Finding(
                "other_room",
                "\(Self.count(count, "message", "goes", "go")) to a room that is not text: no client can be in it.",
                advice: "Rooms of clients are text: let the backend emit with room=str(…).")
        }
        guard emit.rooms.contains(where: { isSimilar($0, to: question.room) }) else { return nil }
        return Finding(
            "other_room",
            "\(Self.count(count, "message", "goes", "go")) to room \(Self.list(emit.rooms)), not \(question.room).",
            advice: "The room names in the page and the backend must match exactly.")
    }

    private func silence(_ heard: Heard) -> Finding {
        let subject = heard.messages == 0 ? "Nothing was published" : "Nothing was published for this room"
        return Finding(
            "nothing_published", "\(subject) within \(Self.seconds(heard.seconds)).",
            advice: "Emit while explain listens, or listen longer with --listen 60; subspy shows all messages.")
    }
}
