/// The differences of two sequences of messages.
struct RecordingDifference {
    /// Indices in the first sequence of what the second lacks, and the other way round.
    private(set) var missing: [Int] = []
    private(set) var added: [Int] = []
    /// The messages of both, and those of them that stand in another order.
    private(set) var commonCount = 0
    private(set) var movedCount = 0

    /// - Parameters:
    ///   - a: one number for each message of the first sequence, the same number for the same message.
    init(_ a: [UInt64], _ b: [UInt64]) {
        // Indices in B of each message, the last first.
        var indices: [UInt64: [Int]] = [:]
        for (index, message) in b.enumerated().reversed() { indices[message, default: []].append(index) }
        var common: [Int] = []
        var isCommon = [Bool](repeating: false, count: b.count)
        for (index, message) in a.enumerated() {
            guard let found = indices[message]?.popLast() else {
                missing.append(index)
                continue
            }
            common.append(found)
            isCommon[found] = true
        }
        added = b.indices.filter { !isCommon[$0] }
        commonCount = common.count
        movedCount = common.count - Self.longestIncreasing(common)
    }

    /// The length of the longest increasing subsequence: the most messages that can have kept their order.
    private static func longestIncreasing(_ indices: [Int]) -> Int {
        // The least end of an increasing subsequence of each length.
        var ends: [Int] = []
        for index in indices {
            var (low, high) = (0, ends.count)
            while low < high {
                let middle = (low + high) / 2
                if ends[middle] < index { low = middle + 1 } else { high = middle }
            }
            if low == ends.count { ends.append(index) } else { ends[low] = index }
        }
        return ends.count
    }
}
