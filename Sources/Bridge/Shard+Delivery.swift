import Bytes
import NIOCore
import PubSubMessages
import SocketIOProtocol

/// Carries out the router's commands on one event loop.
extension Shard {
    /// Carries out the commands of one batch of messages, then writes to each client once.
    func perform(_ commands: [ShardCommand]) {
        isOnlyDelivery = commands.count == 1 && sessions.isFlushed
        for command in commands { perform(command) }
        isOnlyDelivery = false
        flush()
    }

    /// Carries out one command; a flush must follow.
    func perform(_ command: ShardCommand) {
        switch command {
        case .deliver(let delivery): deliver(delivery)
        case .disconnect(let sid, let namespace):
            guard let socket = socket(sid, in: namespace) else { return }
            let session = socket.session
            session.remove(socket)
            session.enqueueSolicited { SocketIOPacketWriter.writeDisconnect(namespace: namespace, to: &$0) }
        case .enterRoom(let sid, let room, let namespace):
            if let socket = socket(sid, in: namespace) { registry.enter(socket, room: room) }
            router.enterPerformed(namespace: namespace, room: room, loop: loopIndex)
        case .giveKeptTo(let sid, let kept):
            guard let socket = socket(sid, in: kept.room.namespace), socket.roomNames.contains(kept.room) else {
                return
            }
            give(kept.packets, to: socket)
        case .join(let join):
            events.joinArrived(join)
            if !router.isLocal(to: eventLoop) {
                router.enterPerformed(namespace: join.namespace, room: join.room, loop: loopIndex)
            }
        case .leaveRoom(let sid, let room, let namespace):
            guard let socket = socket(sid, in: namespace) else { return }
            events.cancelJoins(of: socket, room: room)
            registry.leave(socket, room: room, byBackend: true)
        case .closeRoom(let room, let namespace):
            events.cancelJoins(room: room, namespace: namespace)
            registry.close(room: room, namespace: namespace)
        case .canary(let id): if registry.findsItsRooms() { router.canaryReached(id, loop: loopIndex) }
        case .announceGap(let announcement): announceGap(announcement)
        case .keptMessagesAreCurrent:
            let rooms = roomsOfGapReaders()
            if !rooms.isEmpty { router.giveKept(of: rooms, loop: loopIndex) }
        case .giveKept(let rooms): for kept in rooms { give(kept) }
        case .position(let offset): registry.position = offset
        case .restore(let restored): restore(restored)
        case .dropParked(let pid): dropParked(pid)
        }
    }

    private func socket(_ sid: ByteString, in namespace: ByteString) -> Socket? {
        registry.namespaces[namespace]?.sockets[sid]
    }

    /// - Parameter isLast: a flush follows at once.
    func deliver(_ delivery: Delivery, isLast: Bool) {
        isOnlyDelivery = isLast && sessions.isFlushed
        deliver(delivery)
        isOnlyDelivery = false
    }

    private func deliver(_ delivery: Delivery) {
        if delivery.offset != .none { registry.position = delivery.offset }
        guard let namespace = registry.namespaces[delivery.namespace] else { return }
        switch delivery.rooms {
        case .everyone:
            deliver(delivery, toMembersOf: namespace.everyone)
        case .these(let names):
            // A list of rooms reaches each socket once, through the first of its rooms.
            lastDelivery += 1
            let isList = names.count > 1
            for name in names {
                if let room = namespace.rooms[name] {
                    // Rare: a room has the same name as a sid.
                    let once = isList || namespace.socket(named: name) != nil
                    deliver(delivery, toMembersOf: room, once: once)
                }
                if let socket = namespace.socket(named: name) {
                    deliver(delivery, to: socket, socket.session, once: isList || namespace.rooms[name] != nil)
                }
            }
        }
    }

    private func deliver(_ delivery: Delivery, toMembersOf room: Room, once: Bool = false) {
        // Queueing can close a slow client, which removes it from the room during this loop.
        var index = 0
        while index < room.members.count {
            let (socket, session) = (room.members[index].socket, room.members[index].session)
            deliver(delivery, to: socket, session, once: once)
            if index < room.members.count, room.members[index].socket === socket { index += 1 }
        }
    }

    private func deliver(_ delivery: Delivery, to socket: Socket, _ session: Session, once: Bool) {
        if once {
            if socket.lastDelivery == lastDelivery { return }
            socket.lastDelivery = lastDelivery
        }
        if !delivery.skip.isEmpty, delivery.skip.contains(socket.sid) { return }
        switch delivery.content {
        case .packet(let packet):
            if isOnlyDelivery { session.send(packet) } else { session.enqueue(packet) }
        case .expectingAck(let body, let address):
            if session.isClosed { return }
            let (id, forgotOne) = socket.owedAcks.expect(for: address, limit: configuration.maxPendingAcks)
            if forgotOne { sessions.counters.acksForgotten += 1 }
            session.enqueue(packet(of: body, namespace: delivery.namespace, ackID: id))
        }
    }

    private func packet(of body: EventBody, namespace: ByteString, ackID: Int? = nil) -> EncodedPacket {
        body.withEncodedEvent {
            PacketBuilder($0, namespace: namespace, ackID: ackID, scratch: &scratch).build()
        }
    }

    /// Tells the sockets that asked of a gap. Visits every socket of this loop, once per outage.
    private func announceGap(_ announcement: GapAnnouncement) {
        for namespace in registry.namespaces.values {
            let plain = packet(of: announcement.event, namespace: namespace.name)
            let withKept = packet(of: announcement.eventWithKept, namespace: namespace.name)
            for socket in namespace.sockets.values where socket.wantsGaps && !socket.isParked {
                let isKept = socket.roomNames.contains { announcement.keptRooms.contains($0) }
                sessions.counters.gapNotices += 1
                socket.session.enqueue(isKept ? withKept : plain)
            }
        }
    }

    /// The rooms of the pages that asked about gaps.
    private func roomsOfGapReaders() -> Set<KeptMessages.RoomName> {
        var rooms: Set<KeptMessages.RoomName> = []
        for namespace in registry.namespaces.values {
            for socket in namespace.sockets.values where socket.wantsGaps && !socket.isParked {
                rooms.formUnion(socket.roomNames)
            }
        }
        return rooms
    }

    /// Gives the kept messages of a room to a socket that has entered it.
    func give(_ kept: [EncodedPacket], to socket: Socket) {
        guard !kept.isEmpty else { return }
        sessions.counters.keptGiven += kept.count
        socket.recovery?.completeSince = registry.position
        for packet in kept { socket.session.enqueue(packet) }
    }

    private func give(_ kept: KeptPackets) {
        guard let room = registry.namespaces[kept.room.namespace]?.rooms[kept.room.room] else { return }
        for socket in room.members.map(\.socket) where socket.wantsGaps && !socket.isParked {
            socket.recovery?.completeSince = registry.position
            sessions.counters.keptGiven += kept.packets.count
            for packet in kept.packets { socket.session.enqueue(packet) }
        }
    }
}
