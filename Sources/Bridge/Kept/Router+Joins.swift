import Bytes
import NIOCore
import RedisPubSub

/// Joins, and the kept messages that they bring.
extension Router {
    /// Gives a join its place among the messages.
    func join(_ join: Join, loop: Int) {
        // Adds provisional interest, so that later messages find the loop.
        rooms.add(1, namespace: join.namespace, room: join.room, loop: loop)
        if let storage, !storage.isSettled, keeper.mayKeepByRule(join.room, of: join.namespace) {
            if waitingJoins.isEmpty {
                let bound = NIOLoopBound(self, eventLoop: eventLoop)
                eventLoop.scheduleTask(in: BridgeLimits.keptJoinTime) {
                    bound.value.joinWaiting()
                    bound.value.outbox.flush()
                }
            }
            return waitingJoins.append((join, loop))
        }
        give(join, loop: loop)
    }

    /// Kept messages have been read from Redis, or that takes too long.
    func joinWaiting() {
        let joins = waitingJoins
        waitingJoins = []
        for (join, loop) in joins { give(join, loop: loop) }
    }

    private func give(_ join: Join, loop: Int) {
        var join = join
        join.kept = keptPackets(of: join.room, in: join.namespace)
        outbox.append(.join(join), loop: loop)
        join.kept = []
        guard let storage, !storage.isSynced, earlyJoins.count < BridgeLimits.keptEarlyJoins else { return }
        earlyJoins.append((join, loop, keeper.store.loadCount))
    }

    /// Everything has been read from Redis: those who joined before get the values that were read after their joins.
    func giveRestToEarlyJoins() {
        let joins = earlyJoins
        earlyJoins = []
        for (join, loop, loadCount) in joins {
            let packets = keeper.store.packets(
                namespace: join.namespace, room: join.room, loadedAfter: loadCount, at: WallClock.now())
            let owner = rooms.owner(of: join.sid) ?? loop
            give(
                recovery?.addOffset(to: packets) ?? packets, of: join.room, in: join.namespace,
                to: join.sid, loop: owner)
        }
    }

    /// Gives kept messages of a room to one socket in it.
    func give(
        _ packets: [EncodedPacket], of room: ByteString, in namespace: ByteString, to sid: ByteString, loop: Int
    ) {
        guard !packets.isEmpty else { return }
        let kept = KeptPackets(room: .init(namespace: namespace, room: room), packets: packets)
        outbox.append(.giveKeptTo(sid: sid, kept), loop: loop)
    }

    /// The kept messages of a room, for one socket that enters it now.
    func keptPackets(of room: ByteString, in namespace: ByteString) -> [EncodedPacket] {
        let packets = keeper.packets(namespace: namespace, room: room)
        return recovery?.addOffset(to: packets) ?? packets
    }

    /// Tells the pages that asked of the last gap.
    func announceGap() {
        guard var announcement = gaps.takeAnnouncement() else { return }
        recovery?.gapEnded()
        announcement.keptRooms = keeper.store.roomNames
        outbox.appendToAll(.announceGap(announcement))
    }

    /// The kept messages are those of all servers. After a gap, pages that asked get them, after the news of the gap.
    func keptMessagesAreCurrent() {
        guard keptMayBeOld else { return }
        keptMayBeOld = false
        announceGap()
        outbox.appendToAll(.keptMessagesAreCurrent)
    }

    func giveKept(of rooms: Set<KeptMessages.RoomName>, loop: Int) {
        let kept = rooms.map {
            KeptPackets(room: $0, packets: keeper.packets(namespace: $0.namespace, room: $0.room))
        }
        outbox.append(.giveKept(kept.filter { !$0.packets.isEmpty }), loop: loop)
    }

    /// True if a client on the loop has this sid.
    func hasSocket(_ sid: ByteString, in namespace: ByteString, loop: Int) -> EventLoopFuture<Bool> {
        let shard = shards[rooms.owner(of: sid) ?? loop]
        return shard.eventLoop.submit { shard.value.registry.namespaces[namespace]?.sockets[sid] != nil }
    }
}
