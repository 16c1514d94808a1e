import Bytes
import ArgumentParser

/// A user's own format of a message (`--format`): text, escapes, and fields that begin with `%`.
struct LineFormat {
    enum Part {
        case literal([UInt8])
        case field(Field)
    }

    /// A letter after `%`. Unprintable characters of texts are escaped as Python does; `None` and missing values are empty;
    /// several rooms or sids have commas between them.
    enum Field: Character, CaseIterable {
        case time = "T"
        case method = "m"
        case event = "e"
        case room = "r"
        case namespace = "n"
        case skipSID = "k"
        case keep = "K"
        case key = "y"
        case sid = "i"
        case host = "h"
        case data = "d"
        case pythonData = "D"
        case message = "j"
        case pythonMessage = "p"
        case size = "s"
        case wireFormat = "f"
        case redisChannel = "c"
        case number = "N"
        case dropReason = "x"

        var meaning: String {
            switch self {
            case .time: "time of receipt, as --timestamps says (iso without it)"
            case .method: "method"
            case .event: "event"
            case .room: "room, or rooms with commas between them; empty for a broadcast"
            case .namespace: "namespace"
            case .skipSID: "skip_sid"
            case .keep: "keep: true, false or seconds; empty where the message has none"
            case .key: "key among the kept values of the event"
            case .sid: "sid, in disconnect, enter_room, leave_room and callback"
            case .host: "host id of the sender"
            case .data: "data (or a callback's args) as JSON"
            case .pythonData: "the same as Python's repr"
            case .message: "the whole message as JSON"
            case .pythonMessage: "the whole message as Python's repr"
            case .size: "size of the payload in bytes"
            case .wireFormat: "how it was written: pickle 4, JSON 5.15.1+ and the like"
            case .redisChannel: "Redis channel"
            case .number: "number of the message, from 1"
            case .dropReason: "why receivers drop it; empty for a good message"
            }
        }
    }

    let parts: [Part]

    /// True when the format has the field.
    func contains(_ field: Field) -> Bool {
        parts.contains { if case .field(field) = $0 { true } else { false } }
    }

    init(argument: String) throws {
        var parts: [Part] = []
        var literal: [UInt8] = []
        var rest = argument[...]
        while let character = rest.popFirst() {
            switch character {
            case "%":
                guard let letter = rest.popFirst() else { throw ValidationError("% at the end; write %% for itself") }
                if letter == "%" {
                    literal.append(UInt8(ascii: "%"))
                } else if let field = Field(rawValue: letter) {
                    if !literal.isEmpty { parts.append(.literal(literal)) }
                    literal = []
                    parts.append(.field(field))
                } else {
                    throw ValidationError("%\(letter) is no field; there are \(Self.summary)")
                }
            case "\\": literal.append(try Self.escape(rest.popFirst()))
            default: literal += Array(character.utf8)
            }
        }
        if !literal.isEmpty { parts.append(.literal(literal)) }
        guard !parts.isEmpty else { throw ValidationError("it must not be empty") }
        self.parts = parts
    }

    private static func escape(_ character: Character?) throws -> UInt8 {
        switch character {
        case "n": 0x0A
        case "t": 0x09
        case "r": 0x0D
        case "0": 0
        case "\\": 0x5C
        default:
            throw ValidationError("\\\(character.map(String.init) ?? "") is no escape; there are \\n \\t \\r \\0 \\\\")
        }
    }

    /// `%T time, %m method, …` for errors.
    private static var summary: String {
        Field.allCases.map { "%\($0.rawValue) \($0)" }.joined(separator: ", ") + ", %%"
    }

    /// The list for the help.
    static var help: String {
        Field.allCases.map { "  %\($0.rawValue)  \($0.meaning)" }.joined(separator: "\n")
            + "\n  %%  a percent sign; \\n \\t \\r \\0 \\\\ are escapes"
    }
}
