/// A wrong rule, as one sentence.
package struct RuleError: Error, Equatable, CustomStringConvertible {
    /// Where it was written, such as `rules.conf:3`.
    let place: String
    /// What is wrong, and what would be right.
    let cause: String

    package var description: String { "\(place): \(cause)" }
}

/// All wrong rules of a start, in order.
package struct RuleErrors: Error {
    package let errors: [RuleError]
}
