import Glibc
import NIOCore

/// The connection whose bytes a `DirectSocket` carries.
protocol DirectSocketOwner: AnyObject {
    /// - Parameter bytes: valid during the call; copy those that are needed later.
    func received(_ bytes: inout ByteBuffer)
    /// All waiting bytes have been sent.
    func canSendAgain()
    /// The connection has ended, on either side. Its descriptor must not be used any more.
    func disconnected()
}

/// A connection that is read and written with system calls only, watched by its event loop's `EpollLoop`.
final class DirectSocket: EpollSource {
    private let epollLoop: EpollLoop
    private var owner: (any DirectSocketOwner)?
    /// Bytes that the kernel hasn't taken.
    private var unsent: ByteBuffer?
    private var closesWhenSent = false

    /// Takes over a connected, non-blocking descriptor, and closes it in the end or when this throws.
    init(_ descriptor: CInt, owner: any DirectSocketOwner, epollLoop: EpollLoop) throws(IOError) {
        self.owner = owner
        self.epollLoop = epollLoop
        super.init(descriptor)
        try epollLoop.add(self)
        epollLoop.connections.opened()
    }

    // MARK: Outgoing

    var unsentBytes: Int { unsent?.readableBytes ?? 0 }
    var isWritable: Bool { unsent == nil }
    /// While this socket holds no bytes, its owner may send to the descriptor itself, and writes here what the kernel
    /// doesn't take.
    var openDescriptor: CInt { unsent == nil ? descriptor : -1 }

    /// Sends, and keeps what the kernel doesn't take until it does.
    func write(_ bytes: ByteBuffer) {
        guard descriptor >= 0 else { return }
        if unsent != nil {
            unsent?.writeImmutableBuffer(bytes)
            return
        }
        guard let sent = ConnectionDescriptor.send(bytes, over: descriptor) else { return close() }
        guard sent < bytes.readableBytes else { return }
        var rest = bytes
        rest.moveReaderIndex(forwardBy: sent)
        unsent = rest
        epollLoop.watch(self, forSpace: true)
    }

    private func sendRest() {
        guard var rest = unsent else { return }
        guard let sent = ConnectionDescriptor.send(rest, over: descriptor) else { return close() }
        rest.moveReaderIndex(forwardBy: sent)
        unsent = rest
        guard rest.readableBytes == 0 else { return }
        unsent = nil
        if closesWhenSent { return close() }
        epollLoop.watch(self, forSpace: false)
        owner?.canSendAgain()
    }

    // MARK: Events

    override func ready(canSend: Bool) {
        if canSend { sendRest() }
        guard descriptor >= 0 else { return }
        do {
            guard var bytes = try epollLoop.receive(from: self) else { return }
            if bytes.readableBytes == 0 { close() } else { owner?.received(&bytes) }
        } catch {
            close()
        }
    }

    func closeWhenSent() {
        if unsent == nil { close() } else { closesWhenSent = true }
    }

    /// `owner` gets its bytes from now on.
    func hand(to owner: any DirectSocketOwner) { self.owner = owner }

    /// Closes at once; what waits is lost. Idempotent.
    override func close() {
        guard descriptor >= 0 else { return }
        let descriptor = epollLoop.forget(self)
        end()
        Glibc.close(descriptor)
    }

    /// Gives away the open descriptor.
    func release() -> CInt {
        let descriptor = epollLoop.release(self)
        end()
        return descriptor
    }

    private func end() {
        let owner = owner
        self.owner = nil
        unsent = nil
        owner?.disconnected()
        epollLoop.connections.closed()
    }
}
