import Glibc
import Synchronization

/// An open descriptor on its way to its next owner, perhaps on another event loop. It is closed if nobody takes it.
///
/// A class, since closures that hop between event loops can't capture noncopyable values.
final class OwnedDescriptor: Sendable {
    private let number: Atomic<CInt>

    init(_ number: CInt) { self.number = Atomic(number) }

    /// Gives the descriptor to the caller, who closes it. -1 the second time.
    func take() -> CInt { number.exchange(-1, ordering: .relaxed) }

    deinit {
        let number = take()
        if number >= 0 { close(number) }
    }
}
