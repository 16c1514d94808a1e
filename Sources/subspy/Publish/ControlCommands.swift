import ArgumentParser
import JSONCodec
import PubSubMessages

/// What the commands without data have in common: one message, published once.
struct ControlOptions: ParsableArguments {
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var publishing: PublishOptions

    func publish(_ make: (_ namespace: String, _ hostID: ByteString) -> OutgoingMessage) throws {
        let url = try connection.url(channel: publishing.channel)
        let payload = try make(publishing.namespace, HostID.random()).encoded(as: publishing.encoding)
        let code = Run.untilEnd { run in
            let session = RedisSession(run: run, url: url, isPatient: !connection.noWait, logger: connection.logger)
            let publisher = Publisher(session: session, redisChannel: publishing.channel)
            publisher.publish(payload)
            publisher.complete()
        }
        if code != 0 { throw ExitCode(code) }
    }
}

/// Publishes `close_room`.
struct CloseRoomCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "close-room", abstract: "Takes everybody out of a room.")

    @Argument(help: "Room to close.")
    var room: String
    @OptionGroup var options: ControlOptions

    func run() throws {
        try options.publish { OutgoingMessage.closeRoom(room, namespace: $0, hostID: $1) }
    }
}

/// Publishes `disconnect`.
struct DisconnectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disconnect", abstract: "Disconnects a client from the namespace.")

    @Argument(help: "The client's sid.")
    var sid: String
    @OptionGroup var options: ControlOptions

    func run() throws {
        try options.publish { OutgoingMessage.disconnect(sid, namespace: $0, hostID: $1) }
    }
}

/// What becomes of a client's membership of a room.
struct MembershipOptions: ParsableArguments {
    @Argument(help: "The client's sid.")
    var sid: String
    @Argument(help: "The room.")
    var room: String
    @OptionGroup var options: ControlOptions

    func publish(_ change: OutgoingMessage.Membership) throws {
        try options.publish {
            OutgoingMessage.membership(change, sid: sid, room: room, namespace: $0, hostID: $1)
        }
    }
}

/// Publishes `enter_room`.
struct EnterRoomCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enter-room", abstract: "Puts a client into a room.")

    @OptionGroup var membership: MembershipOptions

    func run() throws { try membership.publish(.enter) }
}

/// Publishes `leave_room`.
struct LeaveRoomCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leave-room", abstract: "Takes a client out of a room.")

    @OptionGroup var membership: MembershipOptions

    func run() throws { try membership.publish(.leave) }
}
