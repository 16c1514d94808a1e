import ArgumentParser
import Bytes
import PubSubMessages

/// A message without data, with the arguments that it takes.
protocol ControlMessage: ParsableArguments {
    static var commandName: String { get }
    static var abstract: String { get }

    func message(namespace: String, hostID: ByteString) -> OutgoingMessage
}

/// Publishes one such message.
struct ControlCommand<Message: ControlMessage>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: Message.commandName, abstract: Message.abstract)
    }

    @OptionGroup var content: Message
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var publishing: PublishOptions

    func run() throws {
        let url = try connection.url(channel: publishing.channel)
        let message = content.message(namespace: publishing.namespace, hostID: HostID.random())
        let payload = try message.encoded(as: publishing.encoding)
        try connection.run(url) { session in
            let publisher = Publisher(session: session, redisChannel: publishing.channel)
            publisher.publish(payload)
            publisher.complete()
        }
    }
}

struct CloseRoom: ControlMessage {
    static let commandName = "close-room"
    static let abstract = "Takes everybody out of a room."

    @Argument(help: "Room to close.")
    var room: String

    func message(namespace: String, hostID: ByteString) -> OutgoingMessage {
        .closeRoom(room, namespace: namespace, hostID: hostID)
    }
}

struct Disconnect: ControlMessage {
    static let commandName = "disconnect"
    static let abstract = "Disconnects a client from the namespace."

    @Argument(help: "The client's sid.")
    var sid: String

    func message(namespace: String, hostID: ByteString) -> OutgoingMessage {
        .disconnect(sid, namespace: namespace, hostID: hostID)
    }
}

struct EnterRoom: ControlMessage {
    static let commandName = "enter-room"
    static let abstract = "Puts a client into a room."

    @OptionGroup var membership: MembershipArguments

    func message(namespace: String, hostID: ByteString) -> OutgoingMessage {
        membership.message(.enter, namespace: namespace, hostID: hostID)
    }
}

struct LeaveRoom: ControlMessage {
    static let commandName = "leave-room"
    static let abstract = "Takes a client out of a room."

    @OptionGroup var membership: MembershipArguments

    func message(namespace: String, hostID: ByteString) -> OutgoingMessage {
        membership.message(.leave, namespace: namespace, hostID: hostID)
    }
}

struct MembershipArguments: ParsableArguments {
    @Argument(help: "The client's sid.")
    var sid: String
    @Argument(help: "The room.")
    var room: String

    func message(_ change: OutgoingMessage.Membership, namespace: String, hostID: ByteString) -> OutgoingMessage {
        .membership(change, sid: sid, room: room, namespace: namespace, hostID: hostID)
    }
}
