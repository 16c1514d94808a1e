import Bytes
import ArgumentParser
import JSONCodec
import PickleCodec
import PubSubMessages

/// Changes recorded messages: their rooms, namespace, sender and format.
final class MessageRewriter {
    private let reader = MessageReader()
    private let format: RewriteFormat
    private let room: PickleValue?
    private let mapping: [ByteString: PickleValue]
    private let namespace: PickleValue?
    private let renewsHosts: Bool
    /// One new id for each sender.
    private var hosts: [ByteString: PickleValue] = [:]

    init(_ options: RewriteOptions) {
        format = options.as
        room = options.setRoom.map { .string($0) }
        var mapping: [ByteString: PickleValue] = [:]
        for pair in options.mapRoom { mapping[ByteString(pair.old)] = .string(pair.new) }
        self.mapping = mapping
        namespace = options.setNamespace.map { .string($0) }
        renewsHosts = options.newHostId
    }

    /// The changed payload.
    ///
    /// - Throws: for a payload that is no message, and for a value that the new format can't hold.
    func rewrite(_ payload: [UInt8]) throws -> [UInt8] {
        let (inspection, dict) = try reader.dict(of: payload)
        let message = PickleDict(
            dict.pairs.map { PickleDict.Pair(key: $0.key, value: changed($0.value, forKey: $0.key)) })
        if case .pickle = inspection.format, format != .json {
            let version = PickleValue.protocolVersion(of: payload)
            return try PickleValue.dict(message).encoded(protocolVersion: version)
        }
        if format == .original { return try json(message, nil) }
        let arguments = try EventArguments(of: message, writtenAs: inspection)
        return format == .json ? try json(message, arguments) : try pickle(message, arguments)
    }

    private func changed(_ value: PickleValue, forKey key: PickleValue) -> PickleValue {
        if key.isText("room") { return room ?? mapped(value) }
        if key.isText("namespace"), let namespace { return namespace }
        guard renewsHosts, key.isText("host_id"), let host = value.textContent else { return value }
        if let known = hosts[host] { return known }
        let new = PickleValue.text(HostID.random())
        hosts[host] = new
        return new
    }

    private func mapped(_ room: PickleValue) -> PickleValue {
        switch room {
        case .list(let rooms): return .list(rooms.map(mapped))
        case .tuple(let rooms): return .tuple(rooms.map(mapped))
        default: return room.textContent.flatMap { mapping[$0] } ?? room
        }
    }

    /// Writes a message as python-socketio 5.15.1 and later do. Without `arguments` every value stays as it is.
    private func json(_ message: PickleDict, _ arguments: EventArguments?) throws -> [UInt8] {
        var writer = JSONWriter()
        var none: [[UInt8]] = []
        var isFirst = true
        for pair in message.pairs {
            if arguments != nil, pair.key.isText("binary") { continue }
            writer.append(isFirst ? "{" : ",")
            isFirst = false
            let key = try PickleValue.dict([pair.key: .null]).json(attachments: &none)
            // `{"key":null}` without the brace and `null}`.
            unsafe key.dropFirst().dropLast(5).withUnsafeBytes { unsafe writer.append(raw: $0) }
            if let arguments, pair.key.isText("data") {
                try append(arguments, to: &writer)
            } else {
                try unsafe pair.value.json(attachments: &none).withUnsafeBytes { unsafe writer.append(raw: $0) }
                guard none.isEmpty else { throw Refusal("bytes stand outside of the data") }
            }
        }
        writer.append(isFirst ? "{}" : "}")
        return writer.copyBytes()
    }

    private func append(_ arguments: EventArguments, to writer: inout JSONWriter) throws {
        var attachments: [[UInt8]] = []
        let list = PickleValue.list(arguments.values.isEmpty ? [.null] : arguments.values)
        let structure = try list.json(attachments: &attachments)
        unsafe structure.withUnsafeBytes { unsafe writer.appendData(list: $0, attachments: attachments) }
    }

    /// Writes a message as python-socketio up to 5.13 does.
    private func pickle(_ message: PickleDict, _ arguments: EventArguments?) throws -> [UInt8] {
        var pairs: [PickleDict.Pair] = []
        for pair in message.pairs {
            var value = pair.value
            if pair.key.isText("binary"), arguments != nil { continue }
            if pair.key.isText("data"), let arguments { value = arguments.pickled }
            // python-socketio pickles tuples; JSON has made lists of them.
            if pair.key.isText("callback") || pair.key.isText("args"), case .list(let items) = value {
                value = .tuple(items)
            }
            pairs.append(PickleDict.Pair(key: pair.key, value: value))
        }
        return try PickleValue.dict(PickleDict(pairs)).encoded(protocolVersion: Defaults.convertedPickleProtocol)
    }
}

/// The changes to each message before it is published.
struct RewriteOptions: ParsableArguments {
    @Option(help: .init("Room of every message that can have one, broadcasts included.", valueName: "name"))
    var setRoom: String?

    @Option(
        help: ArgumentHelp("Another name for one room; repeatable.", valueName: "old=new"),
        transform: RoomMapping.init(argument:))
    var mapRoom: [RoomMapping] = []

    @Option(help: .init("Namespace of every message.", valueName: "name"))
    var setNamespace: String?

    @Flag(help: "A new host id for each sender: a server ignores messages with its own.")
    var newHostId = false

    @Option(
        help: ArgumentHelp(
            "pickle (for python-socketio up to 5.13), json (for 5.15.1 and later), or original: each as it was recorded.",
            valueName: "format"))
    var `as` = RewriteFormat.original

    /// True when messages are published as they were recorded.
    var isEmpty: Bool { setRoom == nil && mapRoom.isEmpty && setNamespace == nil && !newHostId && `as` == .original }

    func validate() throws {
        if setRoom == "" { throw ValidationError("--set-room must not be empty") }
        if setRoom != nil, !mapRoom.isEmpty { throw ValidationError("--map-room does not go with --set-room") }
        if let setNamespace, !setNamespace.hasPrefix("/") { throw ValidationError("--set-namespace must begin with /") }
    }
}

/// The format of the published messages.
enum RewriteFormat: String, CaseIterable, ExpressibleByArgument { case original, pickle, json }

/// A room and its new name.
struct RoomMapping {
    let old: String
    let new: String

    init(argument: String) throws {
        guard let equals = argument.firstIndex(of: "="), equals > argument.startIndex,
            argument.index(after: equals) < argument.endIndex
        else { throw ValidationError("write old=new") }
        old = String(argument[..<equals])
        new = String(argument[argument.index(after: equals)...])
    }
}
