import Bytes

/// The words of a rule's line: separated by blanks, up to a `#` that begins a word. Double quotes join what stands between them, and `\"`
/// is a quotation mark. Any other character after a backslash belongs to the word together with the backslash, which patterns
/// interpret.
struct RuleWords {
    private(set) var words: [String] = []
    private(set) var isQuoteOpen = false

    init(_ line: String) {
        var word: String.UnicodeScalarView?
        var rest = Substring(line).unicodeScalars
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\"":
                isQuoteOpen.toggle()
                // Also the word `""` is one.
                word = word ?? .init()
            case "\\":
                if rest.first != "\"" { word = (word ?? .init()) + [scalar] }
                if let next = rest.popFirst() { word = (word ?? .init()) + [next] }
            case " " where !isQuoteOpen, "\t" where !isQuoteOpen:
                if let word { words.append(String(word)) }
                word = nil
            case "#" where !isQuoteOpen && word == nil:
                return
            default: word = (word ?? .init()) + [scalar]
            }
        }
        if let word { words.append(String(word)) }
    }
}
