import JSONCodec
import NIOCore
import RedisPubSub

/// The latest refusals of clients of one event loop, so that `ws-emit explain` can tell of them: which origins, which
/// joins. Equal ones are one entry with a count.
struct RecentRefusals {
    struct Refusal: Sendable, Equatable {
        enum What: Sendable, Hashable {
            /// A request from a page of this origin.
            case origin(String)
            case join(room: ByteString, namespace: ByteString, JoinRequest.Refusal)
            /// A namespace that may not be opened.
            case namespace(ByteString)
        }

        let what: What
        var count: Int
        /// When it happened last, in milliseconds since 1970.
        var lastAt: Int64
    }

    private(set) var all: [Refusal] = []
    private let capacity = 64
    /// Longer names are cut: strangers choose them.
    private static let maximumNameBytes = 256

    mutating func note(origin: String) {
        note(.origin(String(decoding: origin.utf8.prefix(Self.maximumNameBytes), as: UTF8.self)))
    }

    mutating func note(join room: ByteString, namespace: ByteString, _ refusal: JoinRequest.Refusal) {
        note(.join(room: Self.cut(room), namespace: Self.cut(namespace), refusal))
    }

    mutating func note(namespace: ByteString) { note(.namespace(Self.cut(namespace))) }

    private static func cut(_ name: ByteString) -> ByteString {
        name.count <= maximumNameBytes ? name : ByteString(bytes: name.bytes.prefix(maximumNameBytes))
    }

    /// Takes linear time, 64 comparisons at most, beside which a refused request costs much more.
    private mutating func note(_ what: Refusal.What) {
        let now = WallClock.milliseconds()
        if let place = all.firstIndex(where: { $0.what == what }) {
            var known = all.remove(at: place)
            known.count += 1
            known.lastAt = now
            all.append(known)
        } else {
            if all.count >= capacity { all.removeFirst() }
            all.append(Refusal(what: what, count: 1, lastAt: now))
        }
    }
}
