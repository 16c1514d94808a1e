import JSONCodec

extension Diagnosis {
    /// What is printed: what stands in the way, then what doesn't and ought to be changed.
    func text(of findings: [Finding]) -> String {
        var lines: [String] = []
        if let facts {
            lines.append(
                "ws-emit \(facts.version) at \(question.instance) listens to \(facts.channels.joined(separator: ", "))"
                    + " of \(facts.redis).")
        }
        if let heard, heard.failure == nil {
            lines.append("Within \(heard.seconds) seconds \(heard.messages) messages came by on \(question.redis).")
        }
        if findings.isEmpty {
            let members = facts?.members ?? 0
            lines.append("Nothing stands in the way: \(members) clients are in room \(question.room).")
        }
        let all = findings + remarks
        if !all.isEmpty { lines.append("") }
        for (number, finding) in all.enumerated() {
            lines.append("\(number + 1). \(finding.sentence) [\(finding.code)]")
            lines.append("   -> \(finding.advice)")
        }
        // Rooms, events, origins and ids in them are what strangers chose.
        return lines.map { PrintableText.line($0, maximumCharacters: 4000) }.joined(separator: "\n")
    }
}
