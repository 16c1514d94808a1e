/// One value or key of a parsed text, 16 bytes.
struct JSONTapeNode {
    struct Flags: OptionSet {
        let rawValue: UInt8
        /// A string that holds a backslash.
        static let hasEscapes = Flags(rawValue: 1)
        /// A scalar whose source is already what `JSONDocument.write` would print.
        static let isCanonical = Flags(rawValue: 2)
        /// A key that stood before in the same object: the first one links to the last value.
        static let isSuperseded = Flags(rawValue: 4)
    }

    var kind: JSONDocument.Kind
    var flags: Flags
    /// Scalar: the next node. Container: the node after its last descendant; its parent while it is open.
    /// Key: the node of its value.
    var link: UInt32
    /// First byte in the source; of a string the one after the quote.
    var offset: UInt32
    /// Bytes in the source; of a string without its quotes.
    var length: UInt32
}
