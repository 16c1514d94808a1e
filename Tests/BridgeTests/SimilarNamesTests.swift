import Bytes
import Testing

@testable import Bridge

@Suite struct SimilarNamesTests {
    private static func isSimilar(_ name: ByteString, to wanted: ByteString) -> Bool {
        var names = SimilarNames(to: wanted)
        _ = names.compare(name)
        return !names.found.isEmpty
    }

    @Test(
        arguments: [
            ("time", "Time"), ("time", " time "), ("time", "tmie"), ("time", "tim"), ("time", "times"),
            ("time", "tine"),
            ("/chat", "chat"), ("report", "dir::report"), ("dir::report", "dri::report"), ("комната", "комнат"),
        ] as [(ByteString, ByteString)])
    func `what was probably meant is found, both ways`(one: ByteString, other: ByteString) {
        #expect(Self.isSimilar(one, to: other) && Self.isSimilar(other, to: one))
    }

    @Test(
        arguments: [
            ("time", "news"), ("a", "bcd"), ("", "time"), ("user:1001", "user:2345"), ("time", "time"),
            ("shop::report", "blog::report"),
        ] as [(ByteString, ByteString)])
    func `another name, or the same, is not`(one: ByteString, other: ByteString) {
        #expect(!Self.isSimilar(one, to: other))
    }

    @Test func `distance agrees with a plain table`() {
        var generator = SplitMix(state: 7)
        for _ in 0..<3000 {
            let words = (0..<2).map { _ in
                (0..<Int.random(in: 0...5, using: &generator)).map { _ in UInt8.random(in: 97...98, using: &generator) }
            }
            let distance = Self.distance(words[0], words[1])
            for limit in 0...2 {
                #expect(SimilarNames.isWithin(limit, words[0][...], words[1][...]) == (distance <= limit))
            }
        }
    }

    /// Optimal string alignment by the textbook.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var table = (0...left.count).map { row in (0...right.count).map { row == 0 ? $0 : $0 == 0 ? row : 0 } }
        for row in left.indices {
            for column in right.indices {
                var best = min(table[row][column + 1], table[row + 1][column]) + 1
                best = min(best, table[row][column] + (left[row] == right[column] ? 0 : 1))
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    best = min(best, table[row - 1][column - 1] + 1)
                }
                table[row + 1][column + 1] = best
            }
        }
        return table[left.count][right.count]
    }

    @Test func `work is bounded whatever the number of names`() {
        var names = SimilarNames(to: "time")
        var compared = 0
        while names.compare(ByteString("another-\(compared)")) { compared += 1 }
        #expect(compared == BridgeLimits.comparedNames)
    }
}
