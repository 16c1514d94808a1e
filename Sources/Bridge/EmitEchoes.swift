import Bytes
import DequeModule

/// Emits of ours that Redis will bring back, in the order they were published, so that they are known without being decoded.
///
/// Each of them has been decoded on its way out: the same bytes can't mean anything else when they come back.
struct EmitEchoes {
    private var awaited: Deque<[UInt8]> = []
    private var byteCount = 0

    /// More than is ever under way. The first that doesn't come back hides all behind it, until they are forgotten.
    private static let maximumBytes = 256 << 10

    var isEmpty: Bool { byteCount == 0 }

    mutating func expect(_ payload: [UInt8]) {
        guard payload.count <= Self.maximumBytes else { return }
        if byteCount + payload.count > Self.maximumBytes { removeAll() }
        awaited.append(payload)
        byteCount += payload.count
    }

    /// Forgets all: not every one of them will come.
    mutating func removeAll() {
        awaited.removeAll()
        byteCount = 0
    }

    /// True if a payload is the next of them.
    mutating func take(_ payload: UnsafeRawBufferPointer) -> Bool {
        guard let next = awaited.first, next.count == payload.count, next.withUnsafeBytes({ equalBytes($0, payload) })
        else { return false }
        awaited.removeFirst()
        byteCount -= payload.count
        return true
    }
}
