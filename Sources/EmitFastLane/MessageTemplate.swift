import Bytes

/// The bytes of a message, with holes where its values differ from one message to the next.
///
///     {"method": "emit", "event": ▢, "data": ▢, "namespace": "/", "room": ▢, "skip_sid": null, … "host_id": ▢}
///
/// A walk depends only on its state and the next bytes. If the bytes around the holes are the same and each hole holds one
/// value, the walk would find the same keys and values as in the first message, so only the holes have to be read.
@safe struct MessageTemplate: ~Copyable {
    /// The bytes between the holes, one after the other.
    private let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 512, alignment: 1)
    private var byteCount = 0
    private let holes = UnsafeMutablePointer<Hole>.allocate(capacity: maximumHoles)
    /// 0 before a template is learnt.
    private var holeCount = 0
    /// The place of the namespace in `bytes`.
    private var namespaceExtent = Extent()

    private static let maximumHoles = 8

    /// A value that may differ.
    private struct Hole: BitwiseCopyable {
        let pair: Int
        /// The end of the bytes before it, in `bytes`.
        let bytesEnd: Int
        /// True if only a text fits; false if any value does.
        let isText: Bool
        /// Entries in the memo of a pickle before the value.
        let memoCount: Int
    }

    deinit {
        unsafe bytes.deallocate()
        unsafe holes.deallocate()
    }

    /// The namespace of all messages with this template.
    var namespace: UnsafeRawBufferPointer { unsafe namespaceExtent.bytes(of: UnsafeRawBufferPointer(bytes)) }

    /// Notes the values in the holes of a message; false if the message doesn't have this template.
    func matches<Walk: MessageWalk>(_ walk: inout Walk, _ found: UnsafeMutablePointer<LocatedPair>) -> Bool {
        guard holeCount > 0 else { return false }
        var bytesStart = 0
        for number in 0..<holeCount {
            let hole = unsafe holes[number]
            guard unsafe walk.pass(fixed(bytesStart..<hole.bytesEnd)) else { return false }
            bytesStart = hole.bytesEnd
            if hole.isText {
                guard let text = walk.passText() else { return false }
                unsafe found[hole.pair].kind = .text
                unsafe found[hole.pair].text = text
            } else {
                let next = unsafe number &+ 1 < holeCount ? holes[number &+ 1].bytesEnd : byteCount
                guard unsafe walk.passValue(of: &found[hole.pair], hole.memoCount, before: fixed(bytesStart..<next))
                else {
                    return false
                }
            }
        }
        return unsafe walk.pass(fixed(bytesStart..<byteCount)) && walk.isAtEnd
    }

    /// Calls `body` with the index of each pair whose value is a text that may differ.
    @inline(__always) func allTexts(_ body: (Int) -> Bool) -> Bool {
        for number in 0..<holeCount where unsafe holes[number].isText {
            if unsafe !body(holes[number].pair) { return false }
        }
        return true
    }

    @inline(__always) private func fixed(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: bytes.baseAddress.map { unsafe $0 + range.lowerBound }, count: range.count)
    }

    /// Learns the template of an emit that has been located and is trivial except for its data.
    ///
    /// - Parameters:
    ///   - start: the start of the bytes that don't differ.
    ///   - memoCount: entries in the memo before the data.
    /// - Returns: false, without a template, if a value other than the data comes from a pickle's memo, or if too many bytes
    ///   surround the holes.
    mutating func learn(
        _ input: UnsafeRawBufferPointer, from start: UInt32, _ pairs: UnsafeBufferPointer<LocatedPair>,
        _ layout: EmitLayout, _ memoCount: Int
    ) -> Bool {
        holeCount = 0
        byteCount = 0
        var holes = 0
        var start = start
        var previousEnd = start
        for unsafe(index, pair) in unsafe pairs.enumerated() {
            let isData = index == Int(layout.data)
            guard pair.key.start >= previousEnd, isData || pair.kind != .text || pair.text.start >= pair.value.start
            else { return false }
            previousEnd = pair.value.end
            if index == Int(layout.namespace) { namespaceExtent = pair.text.moved(by: UInt32(byteCount) &- start) }
            let isText = layout.texts & 1 << UInt32(truncatingIfNeeded: index) != 0
            guard isText || isData else { continue }
            guard holes < Self.maximumHoles, unsafe append(input[Int(start)..<Int(pair.value.start)]) else {
                return false
            }
            unsafe self.holes[holes] = Hole(pair: index, bytesEnd: byteCount, isText: isText, memoCount: memoCount)
            holes += 1
            start = isText ? pair.text.end : pair.value.end
        }
        guard unsafe append(input[Int(start)...]) else { return false }
        holeCount = holes
        return true
    }

    /// Appends bytes between holes; false if they begin a frame, whose length only the parser checks, or don't fit.
    private mutating func append(_ part: Slice<UnsafeRawBufferPointer>) -> Bool {
        guard unsafe part.count <= bytes.count - byteCount, unsafe !part.contains(Opcode.frame.rawValue) else {
            return false
        }
        unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[byteCount...]).copyBytes(from: part)
        unsafe byteCount += part.count
        return true
    }
}
