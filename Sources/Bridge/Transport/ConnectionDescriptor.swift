import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// The descriptor below a channel, for system calls that NIO doesn't offer.
enum ConnectionDescriptor {
    /// The descriptor itself, valid while the channel is active; nil if bytes are not written to it as they are (TLS).
    static func borrow(from channel: any Channel) -> CInt? {
        try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { $0 }
    }

    /// The address of the other end; nil unless it is an open TCP connection.
    static func peer(of descriptor: CInt) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            guard let address = bytes.baseAddress,
                unsafe getpeername(descriptor, address.assumingMemoryBound(to: sockaddr.self), &length) == 0
            else { return nil }
            switch unsafe CInt(address.load(as: sockaddr.self).sa_family) {
            case AF_INET: return unsafe SocketAddress(address.load(as: sockaddr_in.self))
            case AF_INET6: return unsafe SocketAddress(address.load(as: sockaddr_in6.self))
            default: return nil
            }
        }
    }

    /// A second descriptor of a channel's connection; closing the channel leaves the connection open.
    static func duplicate(of channel: any Channel) throws -> OwnedDescriptor {
        let descriptor = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { fcntl($0, F_DUPFD_CLOEXEC, 0) }
        guard let descriptor, descriptor >= 0 else {
            throw IOError(errnoCode: descriptor == nil ? ENOTSUP : errno, reason: "duplicating a connection")
        }
        return OwnedDescriptor(descriptor)
    }

    /// Sends past the channel, which must be active and hold no bytes itself.
    ///
    /// A direct send costs a tenth of NIO's write path in user space. Two rules keep the stream whole: `isActive` is read
    /// before each send, since NIO clears it on its loop before the descriptor's number can be reused; and after a byte has
    /// gone into the channel, all bytes go there until the channel has written them.
    ///
    /// - Returns: the number of bytes that the kernel has taken; nil when the connection is broken.
    static func send(_ bytes: ByteBuffer, over descriptor: CInt) -> Int? {
        let sent = unsafe bytes.withUnsafeReadableBytes { bytes in
            unsafe Glibc.send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL | MSG_DONTWAIT))
        }
        if sent >= 0 { return sent }
        return errno == EAGAIN || errno == EINTR ? 0 : nil
    }
}

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
