import Bytes
import Glibc

/// The bytes of a pickled dict, with holes where its values differ from one message to the next.
///
///     }\x94( method emit event ▢ data ▢ namespace / room ▢ skip_sid None … host_id ▢ u.
///
/// A walk depends on nothing but its state and the bytes that come: where the bytes around the holes are the same, and in
/// each hole stands one value, a `PickleLocator` finds the same keys and values as it did then. So only the holes have to be
/// walked over.
struct PickleTemplate: ~Copyable {
    /// The bytes between the holes, one behind the other.
    private let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: byteCapacity)
    private var byteCount = 0
    /// The pairs, their offsets counted from the beginning of the bytes between holes in which their keys are.
    private let pairs = UnsafeMutablePointer<PickleLocator.Pair>.allocate(capacity: OpcodeWalk.pairCapacity)
    private var pairCount = 0
    private let holes = UnsafeMutablePointer<Hole>.allocate(capacity: holeCapacity)
    /// 0 before a template is learnt.
    private var holeCount = 0

    private static let byteCapacity = 512
    private static let holeCapacity = 8

    /// A value that may differ.
    private struct Hole: BitwiseCopyable {
        let pair: Int
        /// Where the bytes before it end in `bytes`.
        let bytesEnd: Int
        /// A text, of which what follows is the same, or any value.
        let isText: Bool
        /// Bytes behind a text, its PUT, that belong to the value.
        var tail = 0
        /// Entries of the memo before any value.
        let memoBefore: Int
        /// Entries behind it, where indices that follow say how many; else -1.
        var memoAfter = -1
    }

    deinit {
        bytes.deallocate()
        pairs.deallocate()
        holes.deallocate()
    }
}

// MARK: Matching

extension PickleTemplate {
    /// Walks over a pickle that may have this template, and notes its pairs; false if it hasn't.
    func matches(_ walk: inout OpcodeWalk) -> Bool {
        guard holeCount > 0, walk.enterDict() else { return false }
        var place = 0
        var bytesStart = 0
        for index in 0..<holeCount {
            let hole = holes[index]
            let start = walk.here
            guard walk.pass(fixed(bytesStart..<hole.bytesEnd)) else { return false }
            while place < hole.pair {
                walk.memory.pairs[place] = pairs[place].moved(by: start)
                place &+= 1
            }
            let key = pairs[place].moved(by: start)
            let valueStart = walk.here
            let value: UInt32
            if hole.isText {
                guard walk.passText() else { return false }
                value = valueStart
            } else {
                let next = index &+ 1 < holeCount ? holes[index &+ 1].bytesEnd : byteCount
                let found = walk.value(
                    ofPair: place, key: key.key, memoCount: hole.memoBefore,
                    follower: fixed(hole.bytesEnd..<next))
                guard let found, hole.memoAfter < 0 || walk.memoCount == hole.memoAfter else { return false }
                value = found
            }
            walk.memory.pairs[place] = PickleLocator.Pair(
                key: key.key, keyStart: key.keyStart, keyLength: key.keyLength, value: value, start: valueStart,
                end: walk.here &+ UInt32(truncatingIfNeeded: hole.tail))
            place &+= 1
            bytesStart = hole.bytesEnd
        }
        let start = walk.here
        guard walk.hasBytes(fixed(bytesStart..<byteCount)) else { return false }
        while place < pairCount {
            walk.memory.pairs[place] = pairs[place].moved(by: start)
            place &+= 1
        }
        return true
    }

    /// Number of pairs of a message that matches.
    var count: Int { pairCount }

    /// Calls `body` with the place of each pair whose value is a text that may differ.
    @inline(__always) func allTexts(_ body: (Int) -> Bool) -> Bool {
        for index in 0..<holeCount where holes[index].isText {
            if !body(holes[index].pair) { return false }
        }
        return true
    }

    @inline(__always) private func fixed(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: bytes + range.lowerBound, count: range.count)
    }
}

extension PickleLocator.Pair {
    @inline(__always) fileprivate func moved(by distance: UInt32) -> Self {
        Self(
            key: key &+ distance, keyStart: keyStart &+ distance, keyLength: keyLength,
            value: value &+ distance, start: start &+ distance, end: end &+ distance)
    }
}

extension OpcodeWalk {
    /// Passes bytes that are known to stand there.
    @inline(__always) fileprivate mutating func pass(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard end &- at > bytes.count, hasBytes(bytes) else { return false }
        at &+= bytes.count
        return true
    }

    /// Passes the text that an opcode makes. Something must follow.
    @inline(__always) fileprivate mutating func passText() -> Bool {
        guard end &- at > 5, let text = PickleLocator.text(at: here, base), text.upperBound < end else { return false }
        at = text.upperBound
        return true
    }
}

// MARK: Learning

extension PickleTemplate {
    /// Learns the template of a dict that has been located, if its keys are distinct, its values are None, bools and texts
    /// but for one value, and it takes nothing from the memo.
    ///
    /// - Parameters:
    ///   - texts: places of the pairs whose values are texts that may differ, a bit for each.
    ///   - value: place of the pair with any value, which another pair must follow.
    /// - Returns: whether it is one.
    mutating func learn(
        _ input: UnsafeRawBufferPointer, dict: UInt32, _ found: UnsafePointer<PickleLocator.Pair>, count: Int,
        texts: UInt32, value: Int
    ) -> Bool {
        holeCount = 0
        byteCount = 0
        pairCount = count
        guard value < count - 1, var reader = TrivialPairReader(input, after: dict) else { return false }
        var holes = 0
        var start = dict + 1
        for place in 0..<count {
            let pair = found[place]
            guard reader.at == pair.key, reader.passText() else { return false }
            let isHole = place == value || texts & 1 << UInt32(truncatingIfNeeded: place) != 0
            pairs[place] = pair.moved(by: 0 &- start)
            guard reader.at == pair.start else { return false }
            if !isHole {
                guard pair.value == pair.start, reader.passPlainValue(), reader.at == pair.end else {
                    return false
                }
                continue
            }
            guard holes < Self.holeCapacity, append(input[Int(start)..<Int(reader.at)]) else { return false }
            var hole = Hole(
                pair: place, bytesEnd: byteCount, isText: place != value, memoBefore: reader.memoCount)
            if hole.isText {
                guard pair.value == pair.start, reader.passText() else { return false }
                start = reader.textEnd
                hole.tail = Int(pair.end &- start)
                guard reader.at == pair.end else { return false }
            } else {
                reader.passValue(upTo: pair.end)
                start = reader.at
            }
            self.holes[holes] = hole
            holes += 1
        }
        guard reader.passEnd(), append(input[Int(start)..<Int(reader.at)]) else { return false }
        guard TrivialPairReader.hasDistinctKeys(input, found, count: count) else { return false }
        for index in 0..<holes where !self.holes[index].isText { self.holes[index].memoAfter = reader.memoAfterValue }
        holeCount = holes
        return true
    }

    private mutating func append(_ part: Slice<UnsafeRawBufferPointer>) -> Bool {
        guard part.count <= Self.byteCapacity - byteCount else { return false }
        for byte in part {
            bytes[byteCount] = byte
            byteCount += 1
        }
        return true
    }
}
