import Bytes

/// All rules, in order. For each matter, kept or not and slow clients, the first rule decides that is for the message and mentions it.
/// So the rules are compared one by one; a comparison allocates nothing.
package struct RoomRules: Sendable {
    let rules: [RoomRule]
    /// True if a rule keeps messages.
    let keepsAny: Bool
    /// True if a rule has another policy than to disconnect slow clients.
    let hasSlowPolicies: Bool
    /// Bytes that a room may keep by the most generous rule.
    let largestRoomBytes: Int

    package init() { self.init([]) }

    init(_ rules: [RoomRule]) {
        self.rules = rules
        keepsAny = rules.contains { if case .yes = $0.keep { true } else { false } }
        hasSlowPolicies = rules.contains { $0.slow ?? .disconnect != .disconnect }
        largestRoomBytes = rules.map { if case .yes(let keep) = $0.keep { keep.maxBytes } else { 0 } }.max() ?? 0
    }

    var isEmpty: Bool { rules.isEmpty }

    /// False if the rules keep no event of the room.
    func mayKeep(namespace: ByteString, room: UnsafeRawBufferPointer) -> Bool {
        guard keepsAny else { return false }
        for rule in rules where rule.keep != nil {
            guard unsafe rule.isFor(namespace: namespace, room: room) else { continue }
            if rule.keep != .no { return true }
            if rule.isForAllEvents { return false }
        }
        return false
    }

    func policy(namespace: ByteString, room: ByteString, event: ByteString) -> RoomPolicy {
        var policy = RoomPolicy()
        var (isKeepOpen, isSlowOpen) = (keepsAny, hasSlowPolicies)
        unsafe room.withUnsafeBytes { room in
            for rule in rules where isKeepOpen && rule.keep != nil || isSlowOpen && rule.slow != nil {
                guard unsafe rule.isFor(namespace: namespace, room: room), rule.isFor(event: event) else { continue }
                if isKeepOpen, let keep = rule.keep {
                    if case .yes(let rule) = keep { policy.keep = rule }
                    isKeepOpen = false
                }
                if isSlowOpen, let slow = rule.slow {
                    (policy.slow, policy.slowKey) = (slow, rule.key)
                    isSlowOpen = false
                }
            }
        }
        if policy.slowKey == nil { policy.slowKey = policy.keep?.key }
        return policy
    }
}
