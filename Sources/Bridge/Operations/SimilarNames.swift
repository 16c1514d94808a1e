import Bytes

/// Finds names that were probably meant: other case, stray blanks, a letter too many, a room-space left out. The number of compared
/// names and their length are limited.
package struct SimilarNames {
    private let wanted: ByteString
    private let folded: [UInt8]
    package private(set) var found: [ByteString] = []
    private var left = BridgeLimits.comparedNames

    package init(to wanted: ByteString) {
        self.wanted = wanted
        folded = Self.folded(wanted)
    }

    /// Compares one more name.
    ///
    /// - Returns: false once no more names are needed.
    package mutating func compare(_ name: ByteString) -> Bool {
        guard left > 0, found.count < BridgeLimits.similarNames else { return false }
        left -= 1
        if name != wanted, isSimilar(Self.folded(name)) { found.append(name) }
        return true
    }

    private func isSimilar(_ other: [UInt8]) -> Bool {
        if other == folded { return true }
        guard !other.isEmpty, !folded.isEmpty else { return false }
        let limit = folded.count < 4 ? 1 : 2
        // A room-space was added or left out. Rooms of two different room-spaces have nothing to do with each other.
        return Self.isWithin(limit, folded[...], other[...])
            || Self.withoutSpace(other) == folded[...] || Self.withoutSpace(folded) == other[...]
    }

    /// Lower case, without leading and trailing blanks and slashes.
    private static func folded(_ name: ByteString) -> [UInt8] {
        let isEdge = { (byte: UInt8) in byte <= 0x20 || byte == UInt8(ascii: "/") }
        let bytes = name.bytes.prefix(BridgeLimits.comparedNameBytes)
        let trimmed = bytes.drop(while: isEdge).reversed().drop(while: isEdge).reversed()
        return trimmed.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
    }

    /// The name behind `space::`.
    private static func withoutSpace(_ name: [UInt8]) -> ArraySlice<UInt8> {
        let colon = UInt8(ascii: ":")
        guard let index = name.indices.dropLast().first(where: { name[$0] == colon && name[$0 + 1] == colon })
        else { return name[...] }
        return name[(index + 2)...]
    }

    /// True if at most `limit` insertions, deletions, changes and swaps of neighbours turn one name into the other.
    static func isWithin(_ limit: Int, _ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>) -> Bool {
        guard abs(left.count - right.count) <= limit else { return false }
        let common = zip(left, right).prefix { $0 == $1 }.count
        let (left, right) = (left.dropFirst(common), right.dropFirst(common))
        if left.isEmpty || right.isEmpty { return true }
        guard limit > 0 else { return false }
        if isWithin(limit - 1, left.dropFirst(), right.dropFirst()) { return true }
        if isWithin(limit - 1, left, right.dropFirst()) || isWithin(limit - 1, left.dropFirst(), right) { return true }
        guard left.prefix(2).elementsEqual(right.prefix(2).reversed()) else { return false }
        return isWithin(limit - 1, left.dropFirst(2), right.dropFirst(2))
    }
}
