import JSONCodec
import PickleCodec
import PubSubMessages

/// The differences of two sequences of messages.
struct RecordingDifference {
    /// Indices of the messages that only the first sequence has, and of those that only the second has.
    private(set) var missing: [Int] = []
    private(set) var added: [Int] = []
    /// Counts of the messages that both have, and of those among them that stand in another order.
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

/// Reads recordings for a comparison.
final class MessageDigester {
    private let ignoresHost: Bool
    private let reader = MessageReader()

    init(ignoresHost: Bool) {
        self.ignoresHost = ignoresHost
    }

    /// One number for each message; the same one for the same message.
    func digests(of path: String) throws(RecordingReader.Failure) -> [UInt64] {
        let reader = try RecordingReader(path: path)
        var digests: [UInt64] = []
        while let entry = try reader.next() {
            guard digests.count < Limits.comparedMessages else {
                throw RecordingReader.Failure(
                    description: "\(path) has more than \(Limits.comparedMessages) messages: compare it in parts")
            }
            digests.append(digest(of: entry))
        }
        if let damage = reader.damage { StandardError.say(damage) }
        return digests
    }

    private func digest(of entry: RecordingReader.Entry) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(entry.redisChannel)
        if let value = value(of: entry.payload) {
            hasher.combine(value)
        } else {
            unsafe entry.payload.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    /// The value of a message that is compared; nil for a payload that can't be read.
    func value(of payload: [UInt8]) -> PickleValue? {
        guard let value = try? reader.value(of: payload).value.withTextsOfPython3 else { return nil }
        guard ignoresHost, case .dict(let dict) = value else { return value }
        return .dict(PickleDict(dict.pairs.filter { !$0.key.isText("host_id") }))
    }

    /// The messages at some indices, in order.
    ///
    /// - Parameter indices: ascending.
    func entries(
        at indices: ArraySlice<Int>, of path: String
    ) throws(RecordingReader.Failure) -> [(index: Int, entry: RecordingReader.Entry)] {
        var entries: [(index: Int, entry: RecordingReader.Entry)] = []
        guard !indices.isEmpty else { return [] }
        let reader = try RecordingReader(path: path)
        var index = 0
        var rest = indices
        while let wanted = rest.first, let entry = try reader.next() {
            if index == wanted {
                entries.append((index, entry))
                rest.removeFirst()
            }
            index += 1
        }
        return entries
    }
}

extension PickleValue {
    /// The value with each ASCII str of Python 2 as the text that Python 3 makes of it.
    fileprivate var withTextsOfPython3: PickleValue {
        switch self {
        case .byteString(let bytes) where bytes.allSatisfy({ $0 < 0x80 }):
            .string(String(decoding: bytes, as: UTF8.self))
        case .list(let items): .list(items.map(\.withTextsOfPython3))
        case .tuple(let items): .tuple(items.map(\.withTextsOfPython3))
        case .set(let items): .set(items.map(\.withTextsOfPython3))
        case .frozenset(let items): .frozenset(items.map(\.withTextsOfPython3))
        case .dict(let dict):
            .dict(
                PickleDict(
                    dict.pairs.map {
                        PickleDict.Pair(key: $0.key.withTextsOfPython3, value: $0.value.withTextsOfPython3)
                    }))
        default: self
        }
    }
}
