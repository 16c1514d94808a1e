import PubSubMessages

/// Whether ws-emit keeps a message as the last value of its room, and gives it to clients that join later.
///
/// ```swift
/// try await emitter.emit("price", ["sku": "tea", "cents": 250], room: "shop", keep: .seconds(3600), key: "tea")
/// ```
///
/// A message decides over the rules of ws-emit. Other servers ignore what it says.
public enum Keep: Hashable, Sendable {
    /// Kept as long as ws-emit keeps a message that names no time (`--keep-age`).
    case yes
    case no
    /// Kept for a time above 0; at most a year.
    case duration(Duration)

    /// Kept for a number of seconds.
    public static func seconds(_ seconds: Int) -> Keep { .duration(.seconds(seconds)) }

    func request(isForEverybody: Bool) throws(EmitterError) -> KeepRequest {
        guard self != .no else { return .no }
        guard !isForEverybody else {
            throw EmitterError(.invalidMessage, "a message for everybody can't be kept: emit it to a room")
        }
        guard case .duration(let duration) = self else { return .yes }
        guard let request = KeepRequest(seconds: duration / .seconds(1)) else {
            throw EmitterError(.invalidMessage, "the time to keep the message must be above 0")
        }
        return request
    }
}

extension Emitter {
    static func check(key: String) throws(EmitterError) {
        guard key.utf8.count <= KeepRequest.maximumKeyBytes else {
            throw EmitterError(
                .invalidMessage, "the key has \(key.utf8.count) bytes, more than \(KeepRequest.maximumKeyBytes)")
        }
    }
}
