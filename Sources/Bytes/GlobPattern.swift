/// A shell pattern for names, compared with their bytes: `*`, `?` (one character), `[a-z]`, `[!a-z]`, alternatives as in
/// `price|stock`, and `\` before a character that means itself. A bracket that nothing closes is itself.
package struct GlobPattern: Hashable, Sendable {
    /// A byte, or one of the values below. Numbers, because a switch over cases with payloads would retain them at each comparison.
    private typealias Step = UInt32
    private static let anyCharacter: Step = 0x100
    private static let anything: Step = 0x101
    private static let alternative: Step = 0x102
    /// The first set; the others follow.
    private static let set: Step = 0x200

    private struct CharacterSet: Hashable {
        var ranges: [ClosedRange<UInt32>] = []
        var isNegated = false

        func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } != isNegated }
    }

    private let steps: [Step]
    private let sets: [CharacterSet]
    /// True if one of the alternatives is `*`.
    package let matchesEverything: Bool

    package init(_ text: String) {
        var steps: [Step] = []
        var sets: [CharacterSet] = []
        var rest = Substring(text).unicodeScalars
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*": if steps.last != Self.anything { steps.append(Self.anything) }
            case "?": steps.append(Self.anyCharacter)
            case "|": steps.append(Self.alternative)
            case "[":
                if let set = Self.characterSet(&rest) {
                    steps.append(Self.set + Step(sets.count))
                    sets.append(set)
                } else {
                    steps.append(scalar.value)
                }
            default:
                let literal = scalar == "\\" ? rest.popFirst() ?? scalar : scalar
                steps += UTF8.encode(literal)?.map { Step($0) } ?? []
            }
        }
        (self.steps, self.sets) = (steps, sets)
        matchesEverything = Self.alternatives(steps).contains { $0 == [Self.anything] }
    }

    private static func alternatives(_ steps: [Step]) -> [ArraySlice<Step>] {
        steps.split(separator: alternative, omittingEmptySubsequences: false)
    }

    private static func characterSet(_ rest: inout Substring.UnicodeScalarView) -> CharacterSet? {
        var body = rest
        var set = CharacterSet()
        if body.first == "!" || body.first == "^" {
            set.isNegated = true
            body.removeFirst()
        }
        while let low = body.popFirst() {
            if low == "]", !set.ranges.isEmpty {
                rest = body
                return set
            }
            guard let low = low == "\\" ? body.popFirst() : low else { return nil }
            if body.first == "-", let high = body.dropFirst().first, high != "]", high >= low {
                set.ranges.append(low.value...high.value)
                body = body.dropFirst(2)
            } else {
                set.ranges.append(low.value...low.value)
            }
        }
        return nil
    }

    /// True if each alternative matches names that begin with this ASCII character.
    package func canBegin(with byte: UInt8) -> Bool {
        Self.alternatives(steps).allSatisfy { steps in
            switch steps.first {
            case nil: false
            case Self.anyCharacter, Self.anything: true
            case let step? where step >= Self.set: sets[Int(step - Self.set)].contains(UInt32(byte))
            case let step: step == Step(byte)
            }
        }
    }

    /// Compares the pattern with the whole name, without allocating. At worst the time is proportional to the product of both lengths,
    /// however many stars the pattern has.
    package func matches(_ name: UnsafeRawBufferPointer) -> Bool {
        let all = steps.span
        var start = 0
        while true {
            var end = start
            while end < all.count, all[end] != Self.alternative { end &+= 1 }
            if unsafe matches(name, all.extracting(start..<end)) { return true }
            guard end < all.count else { return false }
            start = end &+ 1
        }
    }

    private func matches(_ name: UnsafeRawBufferPointer, _ steps: Span<Step>) -> Bool {
        var (step, index) = (0, 0)
        // The steps after the last `*`, and where in the name they were tried. If they don't fit, they are tried one character further.
        var retry: (step: Int, index: Int)?
        while true {
            if step == steps.count {
                if index == name.count { return true }
            } else if steps[step] == Self.anything {
                step &+= 1
                if step == steps.count { return true }
                retry = (step, index)
                continue
            } else if index < name.count, let length = unsafe length(of: steps[step], in: name, at: index) {
                step &+= 1
                index &+= length
                continue
            }
            guard let last = retry, last.index < name.count else { return false }
            (step, index) = unsafe (last.step, last.index &+ PrintableText.scalar(of: name, at: last.index).length)
            retry = (step, index)
        }
    }

    /// The bytes that a step takes at a place, nil if it doesn't fit.
    private func length(of step: Step, in name: UnsafeRawBufferPointer, at index: Int) -> Int? {
        if step < Self.anyCharacter { return unsafe step == Step(name[index]) ? 1 : nil }
        let (scalar, length) = unsafe PrintableText.scalar(of: name, at: index)
        return step == Self.anyCharacter || sets[Int(step - Self.set)].contains(scalar) ? length : nil
    }
}
