import ArgumentParser

/// How a payload is printed.
enum PayloadForm: String, EnumerableFlag {
    /// As Python would print what it holds.
    case python
    /// Its bytes as they are.
    case raw
    /// Its bytes as hexadecimal digits.
    case hex

    static func help(for value: PayloadForm) -> ArgumentHelp? {
        switch value {
        case .python: "Python's repr of what the message holds. (default)"
        case .raw: "The payload's bytes as they are, a line feed after each; nothing else is printed."
        case .hex: "The payload's bytes as one line of hexadecimal digits; nothing else is printed."
        }
    }
}
