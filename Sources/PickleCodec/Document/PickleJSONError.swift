/// The treatment of values that JSON has no type for, and limits on the output.
///
/// Python's `json.dumps` is the model, see `docs/pickle.md`: NaN and infinities become `null` (browsers refuse Python's
/// `NaN`), keys that are None, bool, int or float become text, bytes become attachments, sets and objects are errors.
package struct PickleJSONPolicy: Sendable {
    /// How a Python 2 str becomes text.
    package enum Python2Text: Sendable {
        /// ASCII only, like CPython 3 by default; anything else is an error.
        case ascii
        /// UTF-8, else an error.
        case utf8
        /// Every byte is the character of that number.
        case latin1
    }

    /// Most bytes written by one call. A shared value is written each time it occurs, so that 100 bytes of pickle can ask
    /// for gigabytes. Default 16 MiB; at least eight times the pickle is always allowed.
    package var maximumOutputBytes = 16 << 20
    /// Longest integer in decimal digits. Default 4300, where CPython's `json.dumps` stops too.
    package var maximumIntegerDigits = 4300
    /// How a Python 2 str becomes text. Default ASCII.
    package var python2Text = Python2Text.ascii

    /// The default policy.
    package init() {}
}

/// Why a value could not be written as JSON.
package struct PickleJSONError: Error, CustomStringConvertible {
    /// The kinds of failure.
    package enum Cause: Sendable, Hashable {
        /// A value of a type that `json.dumps` refuses: a set, a name, an object.
        case notSerializable
        /// A dict key of such a type.
        case invalidKey
        /// A Python 2 str that the policy cannot read.
        case undecodableText
        /// An integer beyond `maximumIntegerDigits`.
        case integerTooLong
        /// More output than the policy allows.
        case outputTooLong
        /// Nested beyond the document's `maximumDepth`, or a container that contains itself.
        case tooDeep
    }

    /// The kind of failure.
    package let cause: Cause
    /// The type that is refused, in Python's words, e.g. `decimal.Decimal`; empty when the cause is not a type.
    package let typeName: String

    /// Where in the pickle the type is named, in bytes from its start; nil for values without a name.
    package let byteOffset: Int?
    /// A value to publish instead, where one is known.
    package let advice: String?

    init(_ cause: Cause, _ typeName: String = "", byteOffset: Int? = nil, advice: String? = nil) {
        self.cause = cause
        self.typeName = typeName
        self.byteOffset = byteOffset
        self.advice = advice
    }

    /// The error as one line, with the offset if it is known.
    package var description: String {
        "pickle to JSON: " + (byteOffset.map { "byte \($0): " } ?? "") + sentence
    }

    private var sentence: String {
        switch cause {
        case .notSerializable:
            "\(typeName) is not JSON serializable (\(advice ?? "publish dicts, lists, text, numbers"))"
        case .invalidKey:
            "keys must be str, int, float, bool or None, not \(typeName)" + (advice.map { " (\($0))" } ?? "")
        case .undecodableText: "a Python 2 str is not text (publish unicode, or choose another policy)"
        case .integerTooLong: "an integer has too many digits"
        case .outputTooLong: "the output is too long (shared values are written at each place)"
        case .tooDeep: "nested too deeply, or a container contains itself"
        }
    }
}
