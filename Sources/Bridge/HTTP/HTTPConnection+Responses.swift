import NIOCore
import NIOHTTP1

/// Answers, which leave at the end of the turn.
extension HTTPConnection {
    func write(_ future: EventLoopFuture<HTTPResponse>, to head: HTTPRequestHead) {
        let id = requestID
        // An endpoint's response may come from another loop.
        future.hop(to: connections.eventLoop).assumeIsolated().whenComplete { result in
            guard self.requestID == id else { return }
            self.waitingPoll = nil
            switch result {
            case .success(let response): self.write(response)
            case .failure:
                let response = HTTPResponse.errorPage(.internalServerError, "The request could not be completed.")
                self.write(self.endpoints.finished(response, head))
            }
        }
    }

    func write(_ response: HTTPResponse) {
        guard let context, case .responding(var framing) = state else { return }
        if response.closesConnection || closesWhenIdle || upgradeOffer == .unclear { framing.persistence = .close }
        if var bytes = unsent {
            unsent = nil  // releases the buffer, so that appending doesn't copy it
            response.write(framing, to: &bytes)
            unsent = bytes
        } else {
            unsent = response.bytes(framing)
            connections.flushLater(self)
        }
        if framing.persistence == .close {
            drain(context)
            flush()
            context.close(mode: .output, promise: nil)
        } else if upgradeOffer == .plain {
            replaceParser(context)
        } else {
            awaitNextRequest()
        }
        readOn(context)
    }

    /// Sends the answers so far: straight to the socket while the kernel takes everything, through the channel otherwise.
    func flush() {
        guard var bytes = unsent, let context else { return }
        unsent = nil
        if writesPending == 0, context.channel.isActive {
            if descriptor == nil { descriptor = ConnectionDescriptor.borrow(from: context.channel) }
            if let descriptor {
                guard let sent = ConnectionDescriptor.send(bytes, over: descriptor) else {
                    return context.close(promise: nil)
                }
                bytes.moveReaderIndex(forwardBy: sent)
                if bytes.readableBytes == 0 { return }
            }
        }
        writeThroughChannel(bytes, context)
    }

    func writeThroughChannel(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        writesPending += 1
        context.writeAndFlush(wrapOutboundOut(bytes)).assumeIsolated().whenComplete { _ in
            self.writesPending -= 1
            guard self.writesPending == 0, let whenWritten = self.whenWritten else { return }
            self.whenWritten = nil
            whenWritten()
        }
    }

    func awaitNextRequest() {
        state = .awaitingHead
        setDeadline(connections.configuration.idleTimeout)
    }

    private func drain(_ context: ChannelHandlerContext) {
        state = .draining
        setDeadline(connections.configuration.closeTimeout)
        // One that stands still would keep what comes.
        removeParser(context) {}
    }
}
