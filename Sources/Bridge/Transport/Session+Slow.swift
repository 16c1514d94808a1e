import Logging
import SocketIOProtocol

/// Clients that read more slowly than packets come: packets are replaced or dropped if their policy says so, and otherwise the
/// session is closed.
extension Session {
    /// The transport takes packets at the next flush: the client keeps up.
    private var takesPackets: Bool {
        guard unroutableConnects == 0 else { return false }
        return engine.phase == .websocket ? webSocket?.isWritable ?? false : engine.isPollWaiting
    }

    private var waitingBytes: Int { queue.byteCount + (webSocket?.unsentBytes ?? 0) }

    /// The default limit always admits two messages, even if their JSON is longer than the messages.
    private var packetsBeyondLimit: Int { table.configuration.maxQueuedBytes == nil ? 1 : 0 }

    // MARK: Packets that give way

    /// Puts a packet of policy `latest` in the place of the one with its identity, unless the client keeps up.
    ///
    /// - Returns: false if the packet is to be appended.
    @inline(never)
    func replaceWaiting(with packet: EncodedPacket) -> Bool {
        if takesPackets {
            // What waits was queued in this turn, or can leave now.
            if queue.isIndexed { writeQueueToWebSocket() }
            if isClosed { return true }
            guard queue.isIndexed else { return false }
        }
        table.counters.packetsDroppedSlow[.latest] += queue.makeIndex()
        guard queue.replace(with: packet) else { return false }
        table.counters.packetsDroppedSlow[.latest] += 1
        table.counters.packetsQueued += 1
        // The new packet may be longer than the one it replaces.
        if waitingBytes > table.queueLimit { _ = makeRoom(for: 0) }
        return true
    }

    /// Makes room for bytes that would exceed the limit, or closes the session.
    ///
    /// - Returns: false if it is closed.
    @inline(never)
    func makeRoom(for byteCount: Int) -> Bool {
        // More than the limit may come in one turn of the event loop, for a client that keeps up.
        if engine.phase == .websocket { writeQueueToWebSocket() }
        if isClosed { return false }
        if fits(byteCount) { return true }
        let limit = table.queueLimit - byteCount - (webSocket?.unsentBytes ?? 0)
        dropOldest(downTo: limit, leaving: packetsBeyondLimit)
        if fits(byteCount) { return true }
        closeAsTooSlow(.queueFull, limit: table.queueLimit)
        return false
    }

    private func fits(_ byteCount: Int) -> Bool {
        let waiting = waitingBytes
        return waiting == 0 || waiting + byteCount <= table.queueLimit || queue.packetCount <= packetsBeyondLimit
            || engine.isPollWaiting && takesPackets
    }

    private func dropOldest(downTo limit: Int, leaving: Int) {
        table.counters.packetsDroppedSlow[.latest] += queue.makeIndex()
        table.counters.packetsDroppedSlow[.dropOldest] += queue.dropOldest(downTo: limit, leaving: leaving)
    }

    // MARK: Clients that take nothing

    /// The queue's limit is large, since a healthy client may get several large messages at once. A client that takes nothing
    /// may hold that much for a short time only. Then the oldest packets that may be dropped are, at each call, and if too
    /// much is left the session is closed. Packets of policy `latest` stay: each is the only one of its identity, and mostly
    /// shared by all clients that wait for it.
    func checkProgress(at now: EngineIOSession.Instant) {
        let unsent = webSocket?.unsentBytes ?? 0
        guard let stall, stall.unsentBytes == unsent else {
            stall = (now, unsent)
            return
        }
        let download = engine.phase == .websocket ? 0 : Int(payloadBytes) / BridgeLimits.slowestBytesPerSecond
        let patience = table.configuration.stallTimeout + .seconds(download)
        guard !isClosed, now - stall.since >= patience else { return }
        let before = queue.byteCount
        dropOldest(downTo: BridgeLimits.stallBytes, leaving: 0)
        if before - queue.byteCount > BridgeLimits.stallBytes { table.host?.connections.total.mayTrimMemory() }
        if queue.bytesBesidesLatest > BridgeLimits.stallBytes {
            closeAsTooSlow(.stalled, limit: BridgeLimits.stallBytes)
        }
    }

    func closeAsTooSlow(_ cause: EngineIOSession.SlowClient, limit: Int) {
        table.counters.slowClientsClosed += 1
        table.host?.refused(ClientRefusal(cause)) {
            Logger.Metadata.address(webSocket?.peerAddress).merging([
                "sid": "\(sid)", "queued_bytes": "\(waitingBytes)", "limit_bytes": "\(limit)",
            ]) { $1 }
        }
        close(.slowClient(cause))
    }
}
