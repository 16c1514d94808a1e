import ArgumentParser

/// How a payload is printed.
enum PayloadForm: String, EnumerableFlag {
    /// As Python would print what it holds.
    case python
    /// Its bytes as they are.
    case raw
    /// Its bytes as hexadecimal digits.
    case hex
    /// The program that a pickle is.
    case opcodes
    /// What executing a pickle would import and call.
    case audit

    static func help(for value: PayloadForm) -> ArgumentHelp? {
        switch value {
        case .python: "Python's repr of what the message holds. (default)"
        case .raw: "The payload's bytes as they are, a line feed after each; nothing else is printed."
        case .hex: "The payload's bytes as one line of hexadecimal digits; nothing else is printed."
        case .opcodes: "The opcodes of a pickle, as pickletools.dis prints them, an empty line after each message."
        case .audit: "The names that executing a pickle would import and call, one line for each message."
        }
    }
}
