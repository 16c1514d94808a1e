import Bytes
import NIOCore
import PubSubMessages

/// The router's part in recovery: the log, and the requests under way. Exists only if connections can be recovered.
final class RouterRecovery {
    private(set) var log: RecoveryLog
    /// Messages may have been missed before this position.
    private(set) var gap = RecoveryOffset.none
    private let rooms: RoomDirectory
    private let start = NIODeadline.now()
    private let instance: SessionID.Instance
    /// Requests that wait for the state of their socket or for secrets.
    private var pendingCount = 0
    /// Commands for sids and rooms since the oldest pending request, with their positions. A socket's state may be older.
    private var commands: [(command: ShardCommand, offset: RecoveryOffset)] = []
    /// Commands that came before the first of `commands`, in this round of pending requests.
    private var hasTooManyCommands = false

    init?(_ configuration: BridgeConfiguration, rooms: RoomDirectory) {
        guard let duration = configuration.recovery else { return nil }
        self.rooms = rooms
        instance = configuration.instance
        // A client that is parked may have missed what was sent since its last ping.
        let age = duration + configuration.timing.pingInterval + configuration.timing.pingTimeout
        log = RecoveryLog(
            limits: .init(
                age: TimeAmount(age).nanoseconds / 1000, bytes: configuration.recoveryBytes,
                roomBytes: configuration.recoveryRoomBytes))
        // So that no position of this process is below its bits.
        _ = next()
    }

    // MARK: The log

    private var now: Int64 {
        RecoveryOffset(microseconds: (NIODeadline.now() - start).nanoseconds / 1000, of: instance).value
    }

    func next() -> RecoveryOffset { log.next(at: now) }

    func nextInPacket() -> RecoveryOffset { log.nextInPacket() }

    func expire() { log.expire(at: now) }

    /// Adds a packet, whose last event has the offset of the delivery, for each of its rooms.
    ///
    /// - Parameter first: the position of the first event in the packet.
    func log(_ delivery: Delivery, _ packet: EncodedPacket, from first: RecoveryOffset) {
        func append(_ room: ByteString?) {
            log.append(
                packet, from: first, to: delivery.offset, namespace: delivery.namespace, room: room,
                skip: delivery.skip)
        }
        guard case .these(let names) = delivery.rooms else { return append(nil) }
        // Mostly somebody is there, or there would be no delivery.
        if names.count == 1 { return append(names[0]) }
        for name in names where rooms.isAnyone(in: name, of: delivery.namespace) { append(name) }
    }

    /// Gives the last of the kept messages of a join the offset that its client will know: a client that has got it has got all of
    /// them. They aren't in the log, so another client isn't recovered until it has got a later event or responded to a ping.
    ///
    /// - Returns: the packets, which have an offset from before every event. The last gets one of its own unless it is long: a copy
    ///   for each join must cost little.
    func addOffset(to packets: [EncodedPacket]) -> [EncodedPacket] {
        guard let last = packets.last, last.byteCount <= BridgeLimits.keptCopyBytes else { return packets }
        return packets.dropLast() + [last.replacing(next())]
    }

    /// The offset of kept messages: from before every event of this process.
    static func offsetOfKept(_ configuration: BridgeConfiguration) -> RecoveryOffset? {
        configuration.recovery.map { _ in RecoveryOffset(microseconds: 0, of: configuration.instance) }
    }

    /// Messages may have been missed up to now.
    func gapEnded() { gap = next() }

    // MARK: Commands meanwhile

    /// Notes what backends do to sockets and rooms while the state of a socket is on its way here.
    func note(_ command: ShardCommand) {
        guard pendingCount > 0 else { return }
        guard commands.count < BridgeLimits.commandsDuringRecovery else { return hasTooManyCommands = true }
        commands.append((command, log.last))
    }

    /// - Returns: the index of the first command that concerns the request; nil if there are too many requests.
    func begin() -> Int? {
        guard pendingCount < BridgeLimits.pendingRecoveries, !hasTooManyCommands else { return nil }
        pendingCount += 1
        return commands.count
    }

    func end() {
        pendingCount -= 1
        guard pendingCount == 0 else { return }
        commands = []
        hasTooManyCommands = false
    }

    /// Brings the state of a socket up to date with what came since.
    func update(_ socket: inout RecoverableSocket, from index: Int) throws(RecoveryResult) {
        if hasTooManyCommands { throw .busy }
        for (command, offset) in commands[index...] {
            switch command {
            case .disconnect(socket.sid, socket.namespace): throw .disconnected
            case .enterRoom(socket.sid, let room, socket.namespace): socket.enter(room, at: offset)
            case .leaveRoom(socket.sid, let room, socket.namespace): socket.leave(room, at: offset)
            case .closeRoom(let room, socket.namespace): socket.leave(room, at: offset)
            default: break
            }
        }
    }
}
