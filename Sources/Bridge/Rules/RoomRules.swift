import Bytes

/// All rules, in order. For each matter, kept or not and slow clients, the first rule decides that is for the message and mentions it.
/// So the rules are compared one by one; a comparison allocates nothing.
package struct RoomRules: Sendable {
    let rules: [RoomRule]
    /// True if a rule keeps messages.
    let keepsAny: Bool
    /// True if a rule has another policy than to disconnect slow clients.
    let hasSlowPolicies: Bool

    package init() { self.init([]) }

    init(_ rules: [RoomRule]) {
        self.rules = rules
        keepsAny = rules.contains { if case .yes = $0.keep { true } else { false } }
        hasSlowPolicies = rules.contains { $0.slow ?? .disconnect != .disconnect }
    }

    var isEmpty: Bool { rules.isEmpty }

    /// False if the rules keep no event of the room.
    func mayKeep(namespace: ByteString, room: UnsafeRawBufferPointer) -> Bool {
        guard keepsAny else { return false }
        for index in rules.indices {
            guard let keep = rules[index].keep, unsafe rules[index].isFor(namespace: namespace, room: room) else {
                continue
            }
            if keep != .no { return true }
            if rules[index].isForAllEvents { return false }
        }
        return false
    }

    func policy(namespace: ByteString, room: ByteString, event: ByteString) -> RoomPolicy {
        var policy = RoomPolicy()
        var (isKeepOpen, isSlowOpen) = (keepsAny, hasSlowPolicies)
        guard isKeepOpen || isSlowOpen else { return policy }
        unsafe room.withUnsafeBytes { room in
            for index in rules.indices where isKeepOpen || isSlowOpen {
                let (keep, slow) = (rules[index].keep, rules[index].slow)
                guard isKeepOpen && keep != nil || isSlowOpen && slow != nil, rules[index].isFor(event: event),
                    unsafe rules[index].isFor(namespace: namespace, room: room)
                else { continue }
                if isKeepOpen, let keep {
                    if case .yes(let rule) = keep { policy.keep = rule }
                    isKeepOpen = false
                }
                if isSlowOpen, let slow {
                    policy.slow = slow
                    isSlowOpen = false
                }
            }
        }
        return policy
    }
}
