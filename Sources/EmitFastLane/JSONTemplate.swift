import Glibc

/// The bytes of a JSON object, with holes where its values differ from one message to the next.
///
///     {"method": "emit", "event": ▢, "data": ▢, "namespace": "/", "room": ▢, "skip_sid": null, … "host_id": ▢}
///
/// Where the bytes around the holes are the same, and in each hole stands one value, a `JSONLocator` finds the same keys and
/// values as it did then: only the holes have to be read.
struct JSONTemplate: ~Copyable {
    /// The bytes between the holes, one behind the other.
    private let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: byteCapacity)
    private var byteCount = 0
    /// The pairs, their places counted from the beginning of the bytes between holes in which their keys are.
    private let pairs = UnsafeMutablePointer<JSONLocator.Pair>.allocate(capacity: JSONLocator.capacity)
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
        /// A plain text, or any value.
        let isText: Bool
    }

    deinit {
        bytes.deallocate()
        pairs.deallocate()
        holes.deallocate()
    }

    /// Number of pairs of a message that matches.
    var count: Int { pairCount }

    /// Reads an object that may have this template, and notes its pairs; false if it hasn't.
    func matches(_ walk: inout JSONLocator.Walk, _ found: UnsafeMutablePointer<JSONLocator.Pair>) -> Bool {
        guard holeCount > 0 else { return false }
        var place = 0
        var bytesStart = 0
        for index in 0..<holeCount {
            let hole = holes[index]
            let start = walk.at
            guard pass(bytesStart..<hole.bytesEnd, &walk) else { return false }
            while place < hole.pair {
                found[place] = pairs[place].moved(by: start)
                place &+= 1
            }
            guard let value = walk.value(), !hole.isText || value.kind == .unescapedText else { return false }
            found[place] = .init(key: pairs[place].key.moved(by: start), value: value)
            place &+= 1
            bytesStart = hole.bytesEnd
        }
        let start = walk.at
        guard pass(bytesStart..<byteCount, &walk), walk.at == walk.bytes.count else { return false }
        while place < pairCount {
            found[place] = pairs[place].moved(by: start)
            place &+= 1
        }
        return true
    }

    @inline(__always) private func pass(_ range: Range<Int>, _ walk: inout JSONLocator.Walk) -> Bool {
        guard let base = walk.bytes.baseAddress, walk.bytes.count &- walk.at >= range.count,
            memcmp(base + walk.at, bytes + range.lowerBound, range.count) == 0
        else { return false }
        walk.at &+= range.count
        return true
    }

    /// Learns the template of an object that has been located; false, without any, if too many bytes surround its holes.
    mutating func learn(
        _ input: UnsafeRawBufferPointer, _ found: UnsafePointer<JSONLocator.Pair>, count: Int, texts: UInt32, value: Int
    ) -> Bool {
        holeCount = 0
        byteCount = 0
        pairCount = count
        var holes = 0
        var start = 0
        for place in 0..<count {
            let pair = found[place]
            pairs[place] = pair.moved(by: -start)
            let isText = texts & 1 << UInt32(truncatingIfNeeded: place) != 0
            guard isText || place == value else { continue }
            let source = pair.value.source
            guard holes < Self.holeCapacity, append(input[start..<source.lowerBound]) else { return false }
            self.holes[holes] = Hole(pair: place, bytesEnd: byteCount, isText: isText)
            holes += 1
            start = source.upperBound
        }
        guard append(input[start...]) else { return false }
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

extension JSONLocator.Node {
    @inline(__always) fileprivate func moved(by distance: Int) -> Self {
        Self(kind: kind, start: start &+ distance, end: end &+ distance)
    }
}

extension JSONLocator.Pair {
    @inline(__always) fileprivate func moved(by distance: Int) -> Self {
        Self(key: key.moved(by: distance), value: value.moved(by: distance))
    }
}
