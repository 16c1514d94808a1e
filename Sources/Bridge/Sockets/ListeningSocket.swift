import CEpoll
import Glibc
import NIOCore

/// Accepts connections on the first event loop, for all loops in turn.
final class ListeningSocket: EpollSource {
    private let epollLoop: EpollLoop
    private let shards: [NIOLoopBound<Shard>]
    private let endpoints: HTTPEndpoints
    private var next = 0

    /// Accepted in one turn; the others wait for the next.
    private static let turnLimit = 32

    /// - Parameter descriptor: bound, listening and non-blocking; closed in the end, also when this fails.
    init(
        _ descriptor: CInt, epollLoop: EpollLoop, shards: [NIOLoopBound<Shard>], endpoints: HTTPEndpoints
    ) throws(IOError) {
        self.epollLoop = epollLoop
        self.shards = shards
        self.endpoints = endpoints
        super.init(descriptor)
        try epollLoop.add(self)
    }

    override func ready(canSend: Bool) {
        for _ in 0..<Self.turnLimit {
            let descriptor = accept4(
                self.descriptor, nil, nil, CInt(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
            guard descriptor >= 0 else {
                switch errno {
                case EAGAIN: return
                // The client has gone again, or the network says so (accept(2)).
                case EINTR, ECONNABORTED, EPROTO, ENOPROTOOPT, ENETDOWN, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH: continue
                default: return pause(errno)
                }
            }
            give(descriptor)
        }
    }

    private func give(_ descriptor: CInt) {
        let shard = shards[next % shards.count]
        next &+= 1
        if shard.eventLoop === epollLoop.shard.eventLoop {
            shard.value.accepted(descriptor, for: endpoints)
        } else {
            shard.eventLoop.execute { [endpoints] in shard.value.accepted(descriptor, for: endpoints) }
        }
    }

    /// Out of descriptors or memory: those who connect wait until the next look at the deadlines.
    private func pause(_ error: CInt) {
        epollLoop.shard.acceptsPaused(IOError(errnoCode: error, reason: "accepting a connection"))
        epollLoop.pause(self)
    }

    override func close() {
        guard descriptor >= 0 else { return }
        Glibc.close(epollLoop.forget(self))
    }
}
