import Bytes

/// Reads the pairs of a dict that has been located, as long as there is nothing in them that the parser could refuse:
/// keys that are texts, values that are None, bools or texts, and PUTs with the index that comes next.
struct TrivialPairReader {
    private let input: UnsafeRawBufferPointer
    private(set) var at: UInt32
    /// Where the text passed last ends, before its PUT.
    private(set) var textEnd: UInt32 = 0
    /// Entries of the memo; behind the value that may be any, those since.
    private(set) var memoCount = 0
    private var isBehindValue = false
    /// Entries that there were behind that value, as an index says; -1 where none does.
    private(set) var memoAfterValue = -1

    /// - Parameter dict: the opcode that makes it. A PUT may follow, and MARK must.
    init?(_ input: UnsafeRawBufferPointer, after dict: UInt32) {
        self.input = input
        at = dict + 1
        skipPut()
        guard byte(0) == Opcode.mark.rawValue else { return nil }
        at += 1
    }

    /// 0, which is no opcode, behind the end.
    private func byte(_ offset: Int) -> UInt8 {
        let index = Int(at) + offset
        return index < input.count ? input[index] : 0
    }

    /// Passes MEMOIZE, or BINPUT with the index that MEMOIZE would take.
    private mutating func skipPut() {
        switch byte(0) {
        case Opcode.memoize.rawValue: at += 1
        case Opcode.binPut.rawValue:
            let index = Int(byte(1))
            if isBehindValue {
                if memoAfterValue < 0 { memoAfterValue = index - memoCount }
                guard index == memoAfterValue + memoCount else { return }
            } else {
                guard index == memoCount else { return }
            }
            at += 2
        default: return
        }
        memoCount += 1
    }

    private func text(at offset: UInt32) -> Range<Int>? {
        guard let base = input.baseAddress, input.count - Int(offset) > 5,
            let text = PickleLocator.text(at: offset, base), text.upperBound < input.count,
            PickleLocator.isValidText(UnsafeRawBufferPointer(rebasing: input[text]))
        else { return nil }
        return text
    }

    /// Passes a text and its PUT.
    mutating func passText() -> Bool {
        guard let text = text(at: at) else { return false }
        at = UInt32(truncatingIfNeeded: text.upperBound)
        textEnd = at
        skipPut()
        return true
    }

    /// Passes BINGET of a text that was made there.
    mutating func passFetchedText(_ maker: UInt32) -> Bool {
        guard byte(0) == Opcode.binGet.rawValue, text(at: maker) != nil else { return false }
        at += 2
        return true
    }

    mutating func passPlainValue() -> Bool {
        switch byte(0) {
        case Opcode.none.rawValue, Opcode.newTrue.rawValue, Opcode.newFalse.rawValue:
            at += 1
            return true
        default: return passText()
        }
    }

    /// Passes the value that may be any.
    mutating func passValue(upTo end: UInt32) {
        at = end
        memoCount = 0
        isBehindValue = true
    }

    /// Passes SETITEMS and STOP.
    mutating func passEnd() -> Bool {
        guard byte(0) == Opcode.setItems.rawValue, byte(1) == Opcode.stop.rawValue else { return false }
        at += 2
        return true
    }
}

extension TrivialPairReader {
    /// Whether there is nothing in a dict that the parser could refuse, but for one value.
    static func isTrivial(
        _ input: UnsafeRawBufferPointer, dict: UInt32, _ pairs: UnsafePointer<PickleLocator.Pair>, count: Int,
        except value: Int
    ) -> Bool {
        guard var reader = TrivialPairReader(input, after: dict) else { return false }
        for place in 0..<count {
            let pair = pairs[place]
            let isInPlace = reader.at == pair.key
            guard isInPlace ? reader.passText() : reader.passFetchedText(pair.key), reader.at == pair.start
            else {
                return false
            }
            if place == value {
                reader.passValue(upTo: pair.end)
            } else {
                let isInPlace = pair.value == pair.start
                guard isInPlace ? reader.passPlainValue() : reader.passFetchedText(pair.value),
                    reader.at == pair.end
                else { return false }
            }
        }
        return reader.passEnd() && hasDistinctKeys(input, pairs, count: count)
    }

    /// Of equal keys the parser takes the last one's value.
    static func hasDistinctKeys(
        _ input: UnsafeRawBufferPointer, _ pairs: UnsafePointer<PickleLocator.Pair>, count: Int
    ) -> Bool {
        func text(_ place: Int) -> UnsafeRawBufferPointer {
            let start = Int(pairs[place].keyStart)
            return UnsafeRawBufferPointer(rebasing: input[start..<start + Int(pairs[place].keyLength)])
        }
        for place in 0..<count {
            for other in 0..<place where pairs[other].keyLength == pairs[place].keyLength {
                if equalBytes(text(other), text(place)) { return false }
            }
        }
        return true
    }
}
