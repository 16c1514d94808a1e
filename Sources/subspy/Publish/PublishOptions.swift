import ArgumentParser
import Bytes

/// Where and how a message of ours is published.
struct PublishOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Redis channel.", valueName: "name"))
    var channel = Defaults.redisChannel

    @Option(help: ArgumentHelp("Namespace of the clients.", valueName: "name"))
    var namespace = Defaults.namespace

    @Option(
        help: ArgumentHelp(
            "json, which every python-socketio from 1.8.4 on and ws-emit read, or pickle, for up to 5.13.",
            valueName: "format"))
    var `as` = PublishFormat.json

    @Option(
        name: .customLong("protocol"),
        help: ArgumentHelp("Pickle protocol, 0 to 5. (default: \(Defaults.pickleProtocol))", valueName: "n"),
        completion: .list((0...5).map { "\($0)" }))
    var version: Int?

    var encoding: MessageEncoding {
        switch `as` {
        case .json: .json
        case .pickle: .pickle(version: version ?? Defaults.pickleProtocol)
        }
    }

    func validate() throws {
        guard !channel.isEmpty else { throw ValidationError("--channel must not be empty") }
        guard namespace.hasPrefix("/") else {
            throw ValidationError("--namespace must begin with /: others reach nobody")
        }
        guard let version else { return }
        guard case .pickle = `as` else { throw ValidationError("--protocol goes with --as pickle") }
        guard 0...5 ~= version else { throw ValidationError("--protocol must be 0 to 5") }
    }
}

/// The formats of a published message.
enum PublishFormat: String, CaseIterable, ExpressibleByArgument { case json, pickle }
