import Foundation
import JSONCodec
import Testing

@testable import PickleCodec

/// A scan that has kept the form of an earlier message, and the event that it writes from the bytes, against a scan that
/// knows nothing and the full parse.
@Suite struct PickleScanFormTests {
    /// A scan that has kept a message's form, if it has one that can be kept.
    private static func scan(keeping message: [UInt8]) -> PickleScan? {
        var scan = PickleScan()
        let keeps = message.withUnsafeBytes { bytes in
            guard scan.scan(bytes), let data = scan.index(ofKey: "data") else { return false }
            let texts = ["event", "room", "host_id"].compactMap { scan.index(ofKey: $0) }
            scan.keepForm(texts: texts.reduce(0) { $0 | 1 << UInt32($1) }, value: data)
            return scan.hasKeptForm
        }
        if keeps { return scan }
        return nil
    }

    private struct Counts { var repeated = 0, spliced = 0, refused = 0 }

    /// What the scan finds otherwise than one that has kept nothing.
    private static func difference(_ pickle: [UInt8], _ scan: inout PickleScan, _ counts: inout Counts) -> String? {
        pickle.withUnsafeBytes { bytes in
            var fresh = PickleScan()
            let isAccepted = fresh.scan(bytes)
            guard scan.scan(bytes) == isAccepted else { return "accepted: \(!isAccepted) instead of \(isAccepted)" }
            guard isAccepted else { return nil }
            if scan.isRepeated { counts.repeated += 1 }
            guard scan.root.offset == fresh.root.offset, scan.count == fresh.count else { return "another dict" }
            for place in 0..<fresh.count {
                let (one, other) = (scan.pairs[place], fresh.pairs[place])
                guard "\(one)" == "\(other)" else { return "pair \(place): \(one) instead of \(other)" }
            }
            return eventDifference(bytes, &scan, &counts) ?? eventDifference(bytes, &fresh, &counts)
        }
    }

    /// What is written from the bytes otherwise than by the full parse.
    private static func eventDifference(
        _ bytes: UnsafeRawBufferPointer, _ scan: inout PickleScan, _ counts: inout Counts
    ) -> String? {
        guard let event = scan.index(ofKey: "event"), let data = scan.index(ofKey: "data") else { return nil }
        var writer = JSONWriter()
        guard scan.appendEvent(name: event, arguments: data, to: &writer, limits: PickleLimits()) else {
            counts.refused += 1
            return nil
        }
        counts.spliced += 1
        let expected: String
        do { expected = try wholeEvent(bytes) } catch { return "written although: \(error)" }
        let written = String(decoding: writer.copyBytes(), as: UTF8.self)
        return written == expected ? nil : "\(written) instead of \(expected)"
    }

    private static func wholeEvent(_ bytes: UnsafeRawBufferPointer) throws -> String {
        var document = PickleDocument()
        try document.parse(bytes)
        var writer = JSONWriter()
        var attachments: [PickleNode] = []
        guard let event = document.value(forKey: "event", in: document.root),
            let data = document.value(forKey: "data", in: document.root)
        else { return "no event" }
        try document.writeJSON(event, to: &writer, attachments: &attachments)
        if var arguments = document.tupleElements(of: data) {
            while let argument = arguments.next(in: document) {
                writer.append(",")
                try document.writeJSON(argument, to: &writer, attachments: &attachments)
            }
        } else if document.kind(of: data) != .none {
            writer.append(",")
            try document.writeJSON(data, to: &writer, attachments: &attachments)
        }
        #expect(attachments.isEmpty)
        return String(decoding: writer.copyBytes(), as: UTF8.self)
    }

    // MARK: Messages

    private static func message(
        _ data: PickleValue, event: String = "update", room: PickleValue = "r", version: Int = 4
    ) throws -> [UInt8] {
        let message: PickleValue = [
            "method": "emit", "event": .string(event), "data": data, "namespace": "/", "room": room, "skip_sid": .null,
            "callback": .null, "host_id": "4f2b7f9d3c6e4a5bb1d20c9e8f7ab5c1",
        ]
        return try PickleGraph(decoding: message.encoded()).encoded(protocolVersion: version)
    }

    /// Nested data with everything that has a form of its own in a pickle.
    private static let values: [PickleValue] = [
        1, -7, 70_000, 300, .int(1_700_000_000_000), 0.5, .float(.nan), true, false, .null, "", "text",
        "gr\u{fc}n \u{1F600}",
        "quote \" \n", .string(String(repeating: "x", count: 300)), [], [[]], [[], [1], [1, 2]], .dict(PickleDict()),
        ["a": 1], ["a": 1, "b": [2, 3], "c": ["d": .null]], .tuple([]), .tuple([1]), .tuple([1, "b"]),
        .tuple([1, 2, 3, 4, 5]), .tuple([.tuple([1, 2]), .tuple([.tuple([])])]), [.tuple([1, [2]]), .tuple([])],
        .list((0..<1500).map { .int($0) }), .list((0..<50).map { ["id": .int($0), "name": .string("n\($0 % 3)")] }),
        .bytes([1, 2]), ["event": "method", "room": "room", "data": 1], ["r": "update"], .tuple([.null]),
        .set([1]), [1: 2], .dict(PickleDict((0..<70).map { .init(key: .string("k\($0)"), value: .int($0)) })),
        .list([1, .list([2, .list([3, .list([4, .tuple([5, ["six": .list([7])]])])])])]),
    ]

    @Test(arguments: 0...5) func `messages of one form are found, and their events written, as without it`(version: Int)
        throws
    {
        var counts = Counts()
        guard var scan = Self.scan(keeping: try Self.message(1, version: version)) else {
            return #expect(version == 0, "no form is kept")
        }
        for value in Self.values {
            for (event, room) in [("update", "r"), ("gr\u{fc}n", "another room"), ("e", "")] as [(String, PickleValue)]
            {
                let pickle = try Self.message(value, event: event, room: room, version: version)
                let failure = Self.difference(pickle, &scan, &counts)
                #expect(failure == nil, "\(value) \(room)")
            }
        }
        print("form: protocol \(version): \(counts)")
        // Where the memo's indices are written, messages repeat a form whose data takes as many of them.
        #expect(counts.repeated > (version < 4 ? 20 : 100))
        #expect(counts.spliced > 2 * counts.refused)
    }

    @Test func `of messages with any captured value the same is found and written as without a form`() throws {
        var counts = Counts()
        for record in try Fixtures.records("pickle-valid.jsonl") where record.pickle.count < 5000 {
            guard let value = try? PickleValue(decoding: record.pickle) else { continue }
            for version in 1...5 {
                guard let message = try? Self.message(value, version: version),
                    var scan = Self.scan(keeping: try Self.message(1, version: version))
                else { continue }
                let failure = Self.difference(message, &scan, &counts)
                #expect(failure == nil, "\(record.id), protocol \(version)")
                guard var own = Self.scan(keeping: message) else { continue }
                let again = Self.difference(message, &own, &counts)
                #expect(again == nil, "\(record.id), protocol \(version)")
            }
        }
        print("form: captured values: \(counts)")
        #expect(!Fixtures.isOurs || counts.repeated > 100 && counts.spliced > 100)
    }

    @Test(arguments: [1, 2, 4]) func `each byte of a message may be any opcode, and each cut anywhere`(version: Int)
        throws
    {
        let bytes = PickleOpcode.allCases.map(\.rawValue) + [0, 1, 2, 5, 0x7f, 0xff]
        var counts = Counts()
        for value in [["a": [1, .tuple(["b", "a"])], "c": .null], .tuple([[], "x"]), "text"] as [PickleValue] {
            let message = try Self.message(value, version: version)
            guard var scan = Self.scan(keeping: message) else { return #expect(Bool(false)) }
            for place in message.indices {
                for byte in bytes {
                    var pickle = message
                    pickle[place] = byte
                    let failure = Self.difference(pickle, &scan, &counts)
                    #expect(failure == nil, "byte \(place) is \(byte)")
                }
                let failure = Self.difference(Array(message[..<place]), &scan, &counts)
                #expect(failure == nil, "cut at \(place)")
            }
        }
        print("form: changed bytes: \(counts)")
    }

    @Test func `of a damaged message the same is found and written as without a form`() throws {
        let runs = ProcessInfo.processInfo.environment["WS_EMIT_FUZZ_RUNS"].flatMap { Int($0) } ?? 5_000
        let seed = ProcessInfo.processInfo.environment["WS_EMIT_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
        var generator = SplitMix64(state: seed)
        var counts = Counts()
        let messages = try (1...5).flatMap { version in
            try Self.values.map { try Self.message($0, version: version) }
        }.filter { $0.count < 600 }
        for run in 0..<runs {
            let message = messages[Int.random(in: 0..<messages.count, using: &generator)]
            guard var scan = Self.scan(keeping: message) else { continue }
            let pickle = PickleMutationTests.mutated(
                [message, message, message, messages[run % messages.count]], &generator)
            let failure = Self.difference(pickle, &scan, &counts)
            #expect(failure == nil, "run \(run) of seed \(seed): \(Data(pickle).base64EncodedString())")
        }
        print("form: damaged messages: \(counts)")
        #expect(counts.repeated > 0 && counts.spliced > 0)
    }

    // MARK: What is left to the full parse

    /// The opcodes of a message around those of its data.
    private static func raw(_ data: [UInt8], frame: Int? = nil) -> [UInt8] {
        func text(_ text: String) -> [UInt8] { [0x8c, UInt8(text.utf8.count)] + Array(text.utf8) }
        let body =
            [0x7d, 0x28] + text("event") + text("e") + text("data") + data + text("room") + text("a room") + [
                0x75, 0x2e,
            ]
        guard let frame else { return [0x80, 4] + body }
        return [0x80, 4, 0x95] + withUnsafeBytes(of: UInt64(body.count + frame).littleEndian) { Array($0) } + body
    }

    private static func event(_ pickle: [UInt8]) -> String? {
        pickle.withUnsafeBytes { bytes in
            var scan = PickleScan()
            var counts = Counts()
            guard scan.scan(bytes) else { return nil }
            let failure = eventDifference(bytes, &scan, &counts)
            #expect(failure == nil)
            return counts.spliced == 1 ? (try? wholeEvent(bytes)) : nil
        }
    }

    @Test func `data is written from its opcodes`() {
        #expect(Self.event(Self.raw([0x4b, 1])) == #""e",1"#)
        #expect(Self.event(Self.raw([0x5d, 0x28, 0x4b, 1, 0x4b, 2, 0x86, 0x4b, 3, 0x65])) == #""e",[[1,2],3]"#)
        #expect(Self.event(Self.raw([0x4b, 1, 0x85, 0x85])) == #""e",[1]"#)
        #expect(Self.event(Self.raw([0x4e])) == #""e""#)
        #expect(Self.event(Self.raw([0x29])) == #""e""#)
        #expect(Self.event(Self.raw([0x4e, 0x85])) == #""e",null"#)
        #expect(Self.event(Self.raw([0x4b, 1], frame: 0)) == #""e",1"#)
    }

    @Test(
        arguments: [
            // Equal keys, a key that is no text, a list filled twice, a tuple filled, nothing to fill with.
            [0x7d, 0x28, 0x8c, 1, 0x61, 0x4e, 0x8c, 1, 0x61, 0x4e, 0x75], [0x7d, 0x4b, 1, 0x4e, 0x73],
            [0x5d, 0x4b, 1, 0x61, 0x4b, 2, 0x61], [0x5d, 0x85, 0x4b, 1, 0x61], [0x5d, 0x28, 0x65], [0x7d, 0x28, 0x75],
            // A call across a mark, more than one value, a text that isn't UTF-8, bytes, a set, a long integer.
            [0x5d, 0x28, 0x4b, 1, 0x86, 0x65], [0x8c, 1, 0xff], [0x43, 1, 0x61], [0x8f],
            [0x8a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            // MEMOIZE of the key once more, of nothing above a mark.
            [0x94, 0x94, 0x4b, 1], [0x5d, 0x28, 0x94, 0x4b, 1, 0x65],
        ] as [[UInt8]])
    func `what CPython doesn't write, and what JSON hasn't, is left to the full parse`(data: [UInt8]) {
        #expect(Self.event(Self.raw(data)) == nil)
    }

    @Test(arguments: [-1, 1, 1 << 40]) func `a frame that doesn't end with the pickle is left to the full parse`(
        off: Int
    ) {
        #expect(Self.event(Self.raw([0x4b, 1], frame: off)) == nil)
    }

    @Test func `nesting beyond a word of bits is left to the full parse`() {
        func nested(_ depth: Int) -> [UInt8] {
            [UInt8](repeating: 0x5d, count: depth) + [0x4b, 1] + [UInt8](repeating: 0x61, count: depth)
        }
        #expect(Self.event(Self.raw(nested(62))) != nil)
        #expect(Self.event(Self.raw(nested(63))) == nil)
    }

    @Test func `a form is kept at once, and where forms take turns every eighth time`() throws {
        var scan = PickleScan()
        let one = try Self.message(1)
        let other = one.dropLast(2) + [0x8c, 1, 0x61, 0x4e, 0x75, 0x2e]
        func isRepeated(_ pickle: [UInt8]) -> Bool {
            pickle.withUnsafeBytes { bytes in
                guard scan.scan(bytes), !scan.isRepeated else { return scan.isRepeated }
                scan.keepForm(texts: 0b1_0010, value: 2)
                return false
            }
        }
        #expect(!isRepeated(one) && isRepeated(one))
        for _ in 0..<8 { #expect(!isRepeated(Array(other))) }
        #expect(isRepeated(Array(other)) && !isRepeated(one))
    }

    @Test func `a text that the memo repeats is not written until memory ends`() {
        let long = [0x58, 0xA0, 0x86, 0x01, 0x00] + [UInt8](repeating: 0x78, count: 100_000)
        // [long, [long, long, …], [long, long, …], …]
        let list = [0x5d, 0x28] + [[UInt8]](repeating: [0x68, 0], count: 4000).joined() + [0x65]
        let data = [0x5d, 0x28] + long + [0x71, 0] + [[UInt8]](repeating: list, count: 15).joined() + [0x65]
        Self.raw(data).withUnsafeBytes { bytes in
            var scan = PickleScan()
            guard scan.scan(bytes), let event = scan.index(ofKey: "event"), let data = scan.index(ofKey: "data") else {
                Issue.record("the scan doesn't take it")
                return
            }
            var writer = JSONWriter()
            let isWritten = scan.appendEvent(name: event, arguments: data, to: &writer, limits: PickleLimits())
            #expect(!isWritten && writer.count < 10 * bytes.count)
        }
    }
}
