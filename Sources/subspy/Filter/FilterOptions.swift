import ArgumentParser

/// The options that choose messages.
struct FilterOptions: ParsableArguments {
    @Option(
        parsing: .singleValue, help: .pattern("Event; repeatable, any of them."), transform: TextPattern.init(argument:)
    )
    var event: [TextPattern] = []
    @Option(
        parsing: .singleValue, help: .pattern("Room, or one of several rooms; a broadcast has none."),
        transform: TextPattern.init(argument:))
    var room: [TextPattern] = []
    @Option(parsing: .singleValue, help: .pattern("Namespace."), transform: TextPattern.init(argument:))
    var namespace: [TextPattern] = []
    @Option(
        parsing: .singleValue,
        help: .pattern("Method: emit, callback, disconnect, enter_room, leave_room, close_room."),
        completion: .list(["emit", "callback", "disconnect", "enter_room", "leave_room", "close_room"]),
        transform: TextPattern.init(argument:))
    var method: [TextPattern] = []
    @Option(parsing: .singleValue, help: .pattern("Host id of the sender."), transform: TextPattern.init(argument:))
    var host: [TextPattern] = []

    @Option(parsing: .singleValue, help: .pattern("Not this event."), transform: TextPattern.init(argument:))
    var notEvent: [TextPattern] = []
    @Option(parsing: .singleValue, help: .pattern("Not this room."), transform: TextPattern.init(argument:))
    var notRoom: [TextPattern] = []
    @Option(parsing: .singleValue, help: .pattern("Not this namespace."), transform: TextPattern.init(argument:))
    var notNamespace: [TextPattern] = []
    @Option(parsing: .singleValue, help: .pattern("Not this method."), transform: TextPattern.init(argument:))
    var notMethod: [TextPattern] = []
    @Option(parsing: .singleValue, help: .pattern("Not this host id."), transform: TextPattern.init(argument:))
    var notHost: [TextPattern] = []

    @Flag(help: "Also show the messages by which each ws-emit checks its own subscription; --method shows them too.")
    var canaries = false

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Text in the message as it is printed, or in its bytes; /regex/ too. Repeatable, any of them.",
            valueName: "text"),
        transform: ContentPattern.init(argument:))
    var grep: [ContentPattern] = []

    @Option(
        help: ArgumentHelp("Least size of the payload: 200, 1k, 2M (of 1024).", valueName: "bytes"),
        transform: ByteCount.parse)
    var minSize: Int?
    @Option(help: ArgumentHelp("Largest size of the payload.", valueName: "bytes"), transform: ByteCount.parse)
    var maxSize: Int?

    @Option(
        help: ArgumentHelp("Part of the messages, chosen at random: 1% or 0.01.", valueName: "share"),
        transform: Share.parse)
    var sample: Double?

    func validate() throws {
        if let minSize, let maxSize, minSize > maxSize { throw ValidationError("--min-size is larger than --max-size") }
    }
}

extension ArgumentHelp {
    fileprivate static func pattern(_ text: String) -> ArgumentHelp { ArgumentHelp("\(text)", valueName: "pattern") }
}

/// Sizes as people write them.
enum ByteCount {
    static func parse(_ text: String) throws -> Int {
        var digits = text[...]
        var shift = 0
        for (suffix, bits) in [("k", 10), ("K", 10), ("M", 20), ("G", 30)] where digits.hasSuffix(suffix) {
            digits = digits.dropLast()
            shift = bits
        }
        guard let number = Int(digits), number >= 0, number <= Int.max >> shift else {
            throw ValidationError("write a number of bytes, as in 200, 1k or 2M")
        }
        return number << shift
    }
}

/// A share of all, from 0 to 1.
enum Share {
    static func parse(_ text: String) throws -> Double {
        let isPercentage = text.hasSuffix("%")
        guard let number = Double(isPercentage ? text.dropLast() : text[...]), number >= 0,
            number <= (isPercentage ? 100 : 1)
        else { throw ValidationError("write a share, as in 1% or 0.01") }
        return isPercentage ? number / 100 : number
    }
}
