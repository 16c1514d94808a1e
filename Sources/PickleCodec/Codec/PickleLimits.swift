/// Limits on the input of a decoder, which isn't trusted. Each limit has its own error.
public struct PickleLimits: Sendable, Hashable {
    /// Longest pickle in bytes, out-of-band buffers not included. Default 512 MiB, the longest Redis message;
    /// values above 4 GiB - 1, the largest tape offset, count as that.
    public var maximumInputBytes = 512 << 20
    /// Most values in one pickle, counting every opcode that makes one except None, True and False.
    /// Default 16 million: one takes 16 to 100 bytes.
    public var maximumNodes = 1 << 24
    /// Deepest nesting of containers in the finished value; `[]` is 1. Default 1000, about what CPython's pickler
    /// can write. Raising it costs stack only where a `PickleValue` tree is built.
    public var maximumDepth = 1000
    /// Most memo entries. Default 16 million; an entry below the number of values takes 4 bytes, others about 40.
    public var maximumMemoEntries = 1 << 24
    /// Longest decimal integer in INT and LONG, in digits. Default 4300, CPython's own limit: the conversion is quadratic.
    public var maximumDecimalDigits = 4300
    /// Longest binary integer in LONG1 and LONG4, in bytes. Default 16 MiB; reading is linear, printing is bounded
    /// elsewhere.
    public var maximumIntegerBytes = 1 << 24
    /// Most values of a `PickleValue` tree beyond those in the pickle: a shared value counts each time it occurs. Default
    /// one million: 100 bytes of pickle can share so that the tree has 2 to the 40 leaves.
    public var maximumTreeValues = 1 << 20

    /// The default limits.
    public init() {}
}
