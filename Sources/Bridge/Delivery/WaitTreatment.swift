import Bytes
import PubSubMessages

/// How a packet is treated if it has to wait for a client: the policy of its room and event.
struct WaitTreatment: Sendable, Equatable {
    let policy: SlowClientPolicy
    /// Equal for packets of policy `latest` that take each other's place; 0 for other policies.
    let identity: UInt64
    /// A newer packet goes to the end of the queue instead of the place of the older one: clients may say by the offset of an event
    /// which ones they have got.
    var keepsOrder = false

    /// A client for which too much of this waits is closed.
    static let disconnect = WaitTreatment(policy: .disconnect, identity: 0)
    static let dropOldest = WaitTreatment(policy: .dropOldest, identity: 0)

    // Pattern matching compares one byte; `==` would compare raw values, which are texts.
    var isLatest: Bool { if case .latest = policy { true } else { false } }
    var isDropOldest: Bool { if case .dropOldest = policy { true } else { false } }
}

extension SlowClientPolicy: CountedCase {
    var index: Int {
        switch self {
        case .disconnect: 0
        case .dropOldest: 1
        case .latest: 2
        }
    }

    var label: String { rawValue }
}
