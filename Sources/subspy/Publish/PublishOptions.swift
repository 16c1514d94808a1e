import ArgumentParser
import JSONCodec
import PickleCodec
import PubSubMessages

/// The options for publishing a message.
struct PublishOptions: ParsableArguments {
    @Option(help: .init("Redis channel.", valueName: "name"))
    var channel = Defaults.redisChannel

    @Option(help: .init("Namespace of the clients.", valueName: "name"))
    var namespace = Defaults.namespace

    @Option(
        help: ArgumentHelp(
            "json, which every python-socketio from 1.8.4 on and ws-emit read, or pickle, for up to 5.13.",
            valueName: "format"))
    var `as` = PublishFormat.json

    @OptionGroup var version: ProtocolOption

    var encoding: MessageEncoding { version.encoding(as: `as`) }

    func validate() throws {
        guard !channel.isEmpty else { throw ValidationError("--channel must not be empty") }
        guard namespace.hasPrefix("/") else {
            throw ValidationError("--namespace must begin with /: others reach nobody")
        }
        try version.check(`as`)
    }
}

/// The protocol of a pickle that is written.
struct ProtocolOption: ParsableArguments {
    @Option(
        name: .customLong("protocol"),
        help: .init("Pickle protocol, 0 to 5. (default: \(Defaults.pickleProtocol))", valueName: "n"),
        completion: .list((0...5).map { "\($0)" }))
    var version: Int?

    func check(_ format: PublishFormat) throws {
        guard let version else { return }
        guard format == .pickle else { throw ValidationError("--protocol goes with --as pickle") }
        guard 0...5 ~= version else { throw ValidationError("--protocol must be 0 to 5") }
    }

    func encoding(as format: PublishFormat) -> MessageEncoding {
        switch format {
        case .json: .json
        case .pickle: .pickle(version: version ?? Defaults.pickleProtocol)
        }
    }
}

/// The formats of a published message.
enum PublishFormat: String, CaseIterable, ExpressibleByArgument { case json, pickle }

/// The format of a message to publish.
enum MessageEncoding: Hashable {
    /// Read by every python-socketio from 1.8.4 on.
    case json
    /// Read by releases up to 5.13; protocol 0 to 5.
    case pickle(version: Int)
}

extension OutgoingMessage {
    /// The payload to publish.
    ///
    /// - Parameter data: JSON text for the `data` of an emit; empty for None.
    func encoded(as encoding: MessageEncoding, data: [UInt8] = []) throws(JSONError) -> [UInt8] {
        var document = JSONDocument()
        let text = data.isEmpty ? Array("null".utf8) : data
        let result: Result<[UInt8], JSONError> = unsafe text.withUnsafeBytes { bytes in
            do throws(JSONError) { try unsafe document.parse(bytes) } catch { return .failure(error) }
            switch encoding {
            case .json: return .success(json { $0.appendData(document.root, of: document) })
            case .pickle(let version):
                return .success(pickle(version: version) { $0.append(document.root, of: document) })
            }
        }
        return try result.get()
    }
}
