import Bytes
import NIOCore
import PubSubMessages
import RedisPubSub

/// The messages published on all channels while `explain` listens. Bounded: keeps the first few of each kind.
final class ChannelTraffic: PubSubDelegate {
    /// Emits that differ only in their data.
    struct Emit: Hashable {
        let channel: String
        let namespace: String?
        let rooms: [String]
        /// The emit is for everybody in the namespace.
        let isBroadcast: Bool
        let event: String?
        let hostID: String?
    }

    struct DroppedMessage: Hashable {
        let channel: String
        let hostID: String?
        let text: String
    }

    private(set) var heard = Diagnosis.Heard()
    private(set) var isSubscribed = false
    /// Canaries by host id.
    private var canaries: Set<String> = []
    private let inspector = MessageInspector()
    private static let capacity = 500

    func hasCanary(of hostID: String) -> Bool { canaries.contains(hostID) }

    func received(_ payload: Span<UInt8>, on redisChannel: Span<UInt8>) {
        let channel = unsafe redisChannel.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        let inspection = unsafe payload.withUnsafeBytes { unsafe inspector.inspect($0) }
        let summary = inspection.summary
        let hostID = summary.hostID?.text
        if summary.method == ByteString(PubSubMessage.canaryMethod) {
            if let hostID, canaries.count < Self.capacity { canaries.insert(hostID) }
            return
        }
        if PubSubMessageEncoder.isBetweenServers(payload) { return }
        heard.messages += 1
        if let reason = inspection.dropReason {
            let dropped = DroppedMessage(channel: channel, hostID: hostID, text: reason)
            Self.count(dropped, in: &heard.droppedMessages)
        } else if summary.method == ByteString("emit") || inspection.mistakes.contains(.methodMissing) {
            let emit = Emit(
                channel: channel, namespace: namespace(inspection), rooms: summary.rooms.map(\.text),
                isBroadcast: summary.isBroadcast, event: summary.event?.text, hostID: hostID)
            Self.count(emit, in: &heard.emits)
        }
    }

    private static func count<Kind>(_ message: Kind, in counts: inout [Kind: Int]) {
        if counts[message] != nil || counts.count < capacity { counts[message, default: 0] += 1 }
    }

    /// The namespace of an emit, after corrections.
    private func namespace(_ inspection: MessageInspector.Inspection) -> String? {
        if inspection.mistakes.contains(.namespaceMissing) { return "/" }
        let slash = inspection.mistakes.contains(.namespaceWithoutSlash) ? "/" : ""
        return inspection.summary.namespace.map { slash + $0.text }
    }

    func receivedBatch() {}

    func subscriptionChanged(_ state: SubscriptionState) {
        switch state {
        case .subscribed: (isSubscribed, heard.failure) = (true, nil)
        case .lost(let cause, _): (isSubscribed, heard.failure) = (false, "\(cause)")
        }
    }
}
