extension InstanceFacts {
    /// Problems with the secrets in Redis. The text from ws-emit contains the fix after a colon. A line feed at the end is a
    /// separate finding.
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
