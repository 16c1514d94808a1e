import Testing

@testable import subspy

@Suite struct MessageFilterTests {
    private static let messages = [
        #"{"method":"emit","event":"a","data":1,"namespace":"/","room":"room-1","host_id":"h1"}"#,
        #"{"method":"emit","event":"b","data":1,"namespace":"/chat","room":["room-2","x"],"host_id":"other"}"#,
        #"{"method":"emit","event":"c","data":"комната","namespace":"/","room":null,"host_id":"other"}"#,
        #"{"method":"close_room","room":"room-1","namespace":"/"}"#,
        "oops",
        #"{"method":"ws-emit-canary","id":1,"host_id":"ws-emit-0"}"#,
        #"{"method":"ws-emit-kept-request","host_id":"ws-emit-0","id":1}"#,
        #"{"method":"emit","event":"d","data":1,"namespace":"/","room":"kept","host_id":"x","keep":true,"key":"tea"}"#,
    ]

    /// The numbers of the messages that pass.
    private func passing(_ arguments: [String]) throws -> [Int] {
        let filter = MessageFilter(try FilterOptions.parse(arguments))
        return Self.messages.indices.filter { index in
            let payload = Array(Self.messages[index].utf8)
            let passes = payload.withUnsafeBytes { filter.inspect($0) != nil }
            // Both questions have one answer.
            #expect(payload.withUnsafeBytes { filter.accepts($0) } == passes)
            return passes
        }
    }

    @Test(
        arguments: [
            ([], [0, 1, 2, 3, 4, 7]), (["--canaries"], [0, 1, 2, 3, 4, 5, 6, 7]), (["--method", "ws-*"], [5, 6]),
            (["--event", "a"], [0]), (["--event", "[ab]"], [0, 1]), (["--event", "/^[bc]$/"], [1, 2]),
            (["--event", "a", "--event", "c"], [0, 2]), (["--not-event", "a"], [1, 2, 3, 4, 7]),
            (["--room", "room-?"], [0, 1, 3]), (["--room", "x"], [1]), (["--not-room", "*"], [2, 4]),
            (["--namespace", "/chat"], [1]), (["--not-namespace", "/"], [1, 4]), (["--method", "*_room"], [3]),
            (["--host", "h*"], [0]), (["--not-host", "h1", "--method", "emit"], [1, 2, 7]), (["--key", "t*"], [7]),
            (["--not-key", "*"], [0, 1, 2, 3, 4]), (["--key", "tea", "--event", "a"], []),
            (["--grep", "комната"], [2]), (["--grep", "/room-[12]/"], [0, 1, 3]), (["--grep", "'event': 'a'"], [0]),
            (["--grep", #""event":"b""#], [1]), (["--grep", "oops"], [4]), (["--max-size", "60"], [3, 4]),
            (["--min-size", "60"], [0, 1, 2, 7]),
        ] as [([String], [Int])])
    func `messages pass by their fields, texts and sizes`(arguments: [String], expected: [Int]) throws {
        #expect(try passing(arguments) == expected)
    }

    @Test(arguments: [("0%", 0...0), ("0", 0...0), ("1", 2_000...2_000), ("100%", 2_000...2_000), ("20%", 185...615)])
    func `a sample is a share of all`(share: String, expected: ClosedRange<Int>) throws {
        let filter = MessageFilter(try FilterOptions.parse(["--sample", share]))
        // 400 expected of 2,000 at 20 %: the limits are 12 standard deviations away.
        #expect(expected.contains((0..<2_000).count { _ in filter.isSampled() }))
    }

    @Test(
        arguments: [
            ["--sample", "2"], ["--sample", "101%"], ["--sample", "-1"], ["--min-size", "x"], ["--event", "/(/"],
            ["--min-size", "2k", "--max-size", "1k"],
        ])
    func `wrong filters are refused`(arguments: [String]) {
        #expect(throws: (any Error).self) { try FilterOptions.parse(arguments) }
    }

    @Test(arguments: [("200", 200), ("1k", 1024), ("1K", 1024), ("2M", 2 << 20), ("1G", 1 << 30), ("0", 0)])
    func `sizes have units of 1024`(text: String, bytes: Int) throws { #expect(try ByteCount.parse(text) == bytes) }
}
