import ArgumentParser

/// The changes to each message before it is published.
struct RewriteOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Room of every message that can have one, broadcasts included.", valueName: "name"))
    var setRoom: String?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Another name for one room; repeatable.", valueName: "old=new"),
        transform: RoomMapping.init(argument:))
    var mapRoom: [RoomMapping] = []

    @Option(help: ArgumentHelp("Namespace of every message.", valueName: "name"))
    var setNamespace: String?

    @Flag(help: "A new host id for each sender: a server ignores messages with its own.")
    var newHostId = false

    @Option(
        help: ArgumentHelp(
            "pickle (for python-socketio up to 5.13), json (for 5.15.1 and later), or original: each as it was recorded.",
            valueName: "form"))
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
