import Bridge
import Bytes
import RedisPubSub

extension Diagnosis {
    /// The printed text: findings first, then notes.
    var text: String {
        let (findings, notes) = (findings, notes)
        var lines = [
            "ws-emit \(facts.version) at \(question.instance) listens to \(facts.channels.joined(separator: ", "))"
                + " of \(facts.redis)."
        ]
        if let heard, heard.failure == nil, listeningProblem == nil {
            lines.append(
                "Within \(Self.seconds(heard.seconds)) \(Self.count(heard.messages, "message")) came by on"
                    + " \(question.redis).")
        }
        if facts.keptValues > 0 {
            lines.append(
                "Room \(question.room) keeps \(Self.count(facts.keptValues, "message")) for clients that join, the oldest from"
                    + " \(WallClock.text(Int64(facts.oldestKept))).")
        }
        if findings.isEmpty {
            lines.append(
                "Nothing stands in the way: \(Self.count(facts.members, "client", "is", "are")) in room \(question.room)."
            )
        } else {
            lines.append("")
            for (number, finding) in findings.enumerated() {
                lines += ["\(number + 1). \(finding.sentence) [\(finding.code)]", "   -> \(finding.advice)"]
            }
        }
        if !notes.isEmpty {
            lines += ["", "Worth knowing, though it is not in the way now:"]
            for note in notes {
                let when = note.ageSeconds.map { Self.age($0) + ": " } ?? ""
                lines += ["- \(when)\(note.sentence) [\(note.code)]", "   -> \(note.advice)"]
            }
        }
        return lines.map(Self.printable).joined(separator: "\n")
    }

    /// One JSON object; its keys are part of the interface.
    var json: String {
        JSONValue.object([
            ("room", .text(question.room)), ("namespace", .text(question.namespace)),
            ("instance", .text(question.instance)), ("version", .text(facts.version)), ("redis", .text(facts.redis)),
            ("channels", .list(facts.channels.map { .text($0) })), ("members", .integer(facts.members)),
            ("kept", .integer(facts.keptValues)),
            ("listened_seconds", heard.map { .number($0.seconds) } ?? .null),
            ("messages", heard.flatMap { $0.failure == nil ? .integer($0.messages) : nil } ?? .null),
            ("findings", .list(findings.map(\.json))), ("notes", .list(notes.map(\.json))),
        ]).line
    }

    // MARK: Wording

    static func count(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

    /// `1 message is`, `2 messages are`
    static func count(_ count: Int, _ noun: String, _ one: String, _ many: String) -> String {
        "\(Self.count(count, noun)) \(count == 1 ? one : many)"
    }

    static func list(_ names: [String]) -> String { names.joined(separator: ", ") }

    /// The clause with its full stop. Some clauses from Redis have one already.
    static func sentence(_ clause: String) -> String { clause.hasSuffix(".") ? clause : clause + "." }

    static func seconds(_ seconds: Double) -> String {
        seconds == seconds.rounded() ? count(Int(seconds), "second") : "\(seconds) seconds"
    }

    static func capitalized(_ clause: String) -> String { clause.prefix(1).uppercased() + clause.dropFirst() }

    private static func age(_ seconds: Int) -> String {
        switch seconds {
        case ..<120: count(seconds, "second") + " ago"
        case ..<7200: count(seconds / 60, "minute") + " ago"
        default: count(seconds / 3600, "hour") + " ago"
        }
    }

    /// Cleans names from outside, so that they can't move a terminal's cursor or change colour or order.
    static func printable(_ line: String) -> String { PrintableText.line(line, maximumCharacters: 4000) }
}

extension Diagnosis.Finding {
    /// Sentence, advice and code on one line.
    var line: String { Diagnosis.printable("\(sentence) \(advice) [\(code)]") }

    var json: JSONValue {
        .object([
            ("code", .text(code)), ("text", .text(sentence)), ("advice", .text(advice)),
            ("age_seconds", ageSeconds.map { .integer($0) } ?? .null),
        ])
    }
}
