import ArgumentParser

/// The options that choose messages.
struct FilterOptions: ParsableArguments {
    @Option(pattern: "Event; repeatable, any of them.")
    var event: [TextPattern] = []
    @Option(pattern: "Room, or one of several rooms; a broadcast has none.")
    var room: [TextPattern] = []
    @Option(pattern: "Namespace.")
    var namespace: [TextPattern] = []
    @Option(
        pattern: "Method: emit, callback, disconnect, enter_room, leave_room, close_room.",
        completion: .list(["emit", "callback", "disconnect", "enter_room", "leave_room", "close_room"]))
    var method: [TextPattern] = []
    @Option(pattern: "Host id of the sender.")
    var host: [TextPattern] = []
    @Option(pattern: "Key of a value that ws-emit keeps.")
    var key: [TextPattern] = []

    @Option(pattern: "Not this event.")
    var notEvent: [TextPattern] = []
    @Option(pattern: "Not this room.")
    var notRoom: [TextPattern] = []
    @Option(pattern: "Not this namespace.")
    var notNamespace: [TextPattern] = []
    @Option(pattern: "Not this method.")
    var notMethod: [TextPattern] = []
    @Option(pattern: "Not this host id.")
    var notHost: [TextPattern] = []
    @Option(pattern: "Not this key.")
    var notKey: [TextPattern] = []

    @Flag(
        help:
            "Also show the messages between servers, by which ws-emit checks its subscription and agrees on kept values; --method shows them too."
    )
    var canaries = false

    @Option(
        help: ArgumentHelp(
            "Text in the message as it is printed, or in its bytes; /regex/ too. Repeatable, any of them.",
            valueName: "text"),
        transform: ContentPattern.init(argument:))
    var grep: [ContentPattern] = []

    @Option(bytes: "Least size of the payload: 200, 1k, 2M (of 1024).")
    var minSize: Int?
    @Option(bytes: "Largest size of the payload.")
    var maxSize: Int?

    @Option(
        help: .init("Part of the messages, chosen at random: 1% or 0.01.", valueName: "share"), transform: Share.parse)
    var sample: Double?

    func validate() throws {
        if let minSize, let maxSize, minSize > maxSize { throw ValidationError("--min-size is larger than --max-size") }
    }
}
