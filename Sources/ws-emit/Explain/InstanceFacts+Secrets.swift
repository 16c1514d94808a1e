extension InstanceFacts {
    /// Why keys of Redis don't open the room-space as their author thinks; ws-emit's words have the cure in them. A line
    /// feed at the end is a finding of its own.
    var secretFindings: [Diagnosis.Finding] {
        secretProblems.map { problem in
            let parts = problem.text.split(separator: ": ", maxSplits: 1)
            return Diagnosis.Finding(
                code: problem.code, sentence: Self.sentence(parts[0]), advice: Self.sentence(parts.last ?? parts[0]))
        }
    }

    private static func sentence(_ clause: Substring) -> String {
        clause.prefix(1).uppercased() + clause.dropFirst() + "."
    }
}
