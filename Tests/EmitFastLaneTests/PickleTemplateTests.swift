import Bytes
import Foundation
import PickleCodec
import Testing

@testable import EmitFastLane

/// Compares a locator that has learnt a template, and the event that it writes from the bytes, with a locator without a
/// template and with the parser.
@Suite struct PickleTemplateTests {
    /// A locator that has learnt the template of a message, if it has one that can be learnt.
    private static func locator(learning message: [UInt8]) -> PickleLocator? {
        var locator = PickleLocator()
        _ = message.withUnsafeBytes { locator.locateEmit($0) }
        if locator.matchesTemplate { return locator }
        return nil
    }

    private struct Counts { var matching = 0, written = 0, refused = 0 }

    /// A difference between a locator, one that has learnt nothing, and the parser; nil if there is none.
    private static func difference(_ pickle: [UInt8], _ locator: inout PickleLocator, _ counts: inout Counts) -> String?
    {
        pickle.withUnsafeBytes { bytes in
            var fresh = PickleLocator()
            let expected = fresh.locateEmit(bytes)
            guard let layout = locator.locateEmit(bytes) else {
                return expected == nil ? nil : "refused"
            }
            if locator.matchesTemplate { counts.matching += 1 }
            if let failure = eventDifference(bytes, locator, Int(layout.event), Int(layout.data), &counts) {
                return failure
            }
            // Without a template, PUTs with gaps between their indices are left to the parser.
            guard let expected else { return nil }
            guard values(locator, layout) == values(fresh, expected) else {
                return "\(values(locator, layout)) instead of \(values(fresh, expected))"
            }
            return eventDifference(bytes, fresh, Int(expected.event), Int(expected.data), &counts)
        }
    }

    /// The values of an emit as text, and the bytes of its data.
    private static func values(_ locator: borrowing PickleLocator, _ layout: EmitLayout) -> [String?] {
        var texts = [locator.namespace(layout).map { String(decoding: $0, as: UTF8.self) }]
        for index in [layout.event, layout.room, layout.hostID, layout.skipSID] {
            texts.append(index < 0 ? nil : locator.text(at: Int(index)).map { String(decoding: $0, as: UTF8.self) })
        }
        return texts + ["\(locator[Int(layout.data)].kind)"]
    }

    /// A difference between the event written from the bytes and by the parser; nil if there is none.
    private static func eventDifference(
        _ bytes: UnsafeRawBufferPointer, _ locator: borrowing PickleLocator, _ event: Int, _ data: Int,
        _ counts: inout Counts
    ) -> String? {
        var writer = JSONWriter()
        guard locator.appendEvent(name: event, arguments: data, to: &writer, limits: PickleLimits()) else {
            counts.refused += 1
            return nil
        }
        counts.written += 1
        let expected: String
        do { expected = try wholeEvent(bytes) } catch { return "written although: \(error)" }
        let written = String(decoding: writer.copyBytes(), as: UTF8.self)
        return written == expected ? nil : "\(written) instead of \(expected)"
    }

    private static func index(of key: StaticString, _ locator: borrowing PickleLocator) -> Int? {
        (0..<locator.count).last { hasBytes(locator.keyText(at: $0), key) }
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

    /// Nested data with all types that a pickle writes differently.
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

    @Test(arguments: 0...5) func `messages are located and their events written as without a template`(
        version: Int
    )
        throws
    {
        var counts = Counts()
        guard var locator = Self.locator(learning: try Self.message(1, version: version)) else {
            return #expect(version == 0, "no template is learnt")
        }
        for value in Self.values {
            for (event, room) in [("update", "r"), ("gr\u{fc}n", "another room"), ("e", "")] as [(String, PickleValue)]
            {
                let pickle = try Self.message(value, event: event, room: room, version: version)
                let failure = Self.difference(pickle, &locator, &counts)
                #expect(failure == nil, "\(value) \(room)")
            }
        }
        print("template: protocol \(version): \(counts)")
        // If a protocol writes the memo's indices, messages match only a template whose data takes as many of them.
        #expect(counts.matching > (version < 4 ? 20 : 100))
        #expect(counts.written > 2 * counts.refused)
    }

    @Test func `messages with any captured value are located and written the same as without a template`() throws {
        var counts = Counts()
        for record in try Fixtures.records("pickle-valid.jsonl") where record.pickle.count < 5000 {
            guard let value = try? PickleValue(decoding: record.pickle) else { continue }
            for version in 1...5 {
                guard let message = try? Self.message(value, version: version),
                    var locator = Self.locator(learning: try Self.message(1, version: version))
                else { continue }
                let failure = Self.difference(message, &locator, &counts)
                #expect(failure == nil, "\(record.id), protocol \(version)")
                guard var own = Self.locator(learning: message) else { continue }
                let again = Self.difference(message, &own, &counts)
                #expect(again == nil, "\(record.id), protocol \(version)")
            }
        }
        print("template: captured values: \(counts)")
        #expect(!Fixtures.isOurs || counts.matching > 100 && counts.written > 100)
    }

    @Test(arguments: [1, 2, 4]) func `any byte may be any opcode, and a message may be cut anywhere`(version: Int)
        throws
    {
        let bytes = PickleOpcode.allCases.map(\.rawValue) + [0, 1, 2, 5, 0x7f, 0xff]
        var counts = Counts()
        for value in [["a": [1, .tuple(["b", "a"])], "c": .null], .tuple([[], "x"]), "text"] as [PickleValue] {
            let message = try Self.message(value, version: version)
            guard var locator = Self.locator(learning: message) else { return #expect(Bool(false)) }
            for place in message.indices {
                for byte in bytes {
                    var pickle = message
                    pickle[place] = byte
                    let failure = Self.difference(pickle, &locator, &counts)
                    #expect(failure == nil, "byte \(place) is \(byte)")
                }
                let failure = Self.difference(Array(message[..<place]), &locator, &counts)
                #expect(failure == nil, "cut at \(place)")
            }
        }
        print("template: changed bytes: \(counts)")
    }

    // MARK: Left to the parser

    /// A message with these opcodes as its data.
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
            var locator = PickleLocator()
            var counts = Counts()
            guard locator.locate(bytes), let event = index(of: "event", locator), let data = index(of: "data", locator)
            else { return nil }
            let failure = eventDifference(bytes, locator, event, data, &counts)
            #expect(failure == nil)
            return counts.written == 1 ? (try? wholeEvent(bytes)) : nil
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
        // MEMOIZE of the key, and a text from the memo.
        #expect(Self.event(Self.raw([0x94, 0x4b, 1])) == #""e",1"#)
        #expect(Self.event(Self.raw([0x8c, 1, 0x61, 0x94, 0x68, 0, 0x86])) == #""e","a","a""#)
    }

    @Test(
        arguments: [
            // Equal keys, a key that isn't text, a list filled twice, a tuple filled, no items to fill with.
            [0x7d, 0x28, 0x8c, 1, 0x61, 0x4e, 0x8c, 1, 0x61, 0x4e, 0x75], [0x7d, 0x4b, 1, 0x4e, 0x73],
            [0x5d, 0x4b, 1, 0x61, 0x4b, 2, 0x61], [0x5d, 0x85, 0x4b, 1, 0x61], [0x5d, 0x28, 0x65], [0x7d, 0x28, 0x75],
            // A call across a mark, more than one value, a text that isn't UTF-8, bytes, a set, a long integer.
            [0x5d, 0x28, 0x4b, 1, 0x86, 0x65], [0x8c, 1, 0xff], [0x43, 1, 0x61], [0x8f],
            [0x8a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            // MEMOIZE of nothing above a mark, BUILD, a frame inside, a list from the memo, a dict with half a pair.
            [0x5d, 0x28, 0x94, 0x4b, 1, 0x65], [0x4e, 0x7d, 0x62], [0x95, 1, 0, 0, 0, 0, 0, 0, 0, 0x4e],
            [0x5d, 0x94, 0x68, 0, 0x86], [0x4e, 0x94, 0x68, 0, 0x86], [0x7d, 0x28, 0x8c, 1, 0x61, 0x75],
            [0x7d, 0x28, 0x8c, 1, 0x61, 0x85, 0x4e, 0x75],
        ] as [[UInt8]])
    func `data that CPython doesn't write, or that JSON doesn't have, is left to the parser`(data: [UInt8]) {
        #expect(Self.event(Self.raw(data)) == nil)
    }

    @Test(arguments: [-1, 1, 1 << 40]) func `a frame that doesn't end with the pickle is left to the parser`(
        off: Int
    ) {
        #expect(Self.event(Self.raw([0x4b, 1], frame: off)) == nil)
    }

    @Test func `nesting deeper than 62 is left to the parser`() {
        func nested(_ depth: Int) -> [UInt8] {
            [UInt8](repeating: 0x5d, count: depth) + [0x4b, 1] + [UInt8](repeating: 0x61, count: depth)
        }
        #expect(Self.event(Self.raw(nested(62))) != nil)
        #expect(Self.event(Self.raw(nested(63))) == nil)
    }

    @Test func `a template is learnt at once, and every eighth time if templates alternate`() throws {
        var locator = PickleLocator()
        let one = try Self.message(1)
        let other = one.dropLast(2) + [0x8c, 1, 0x61, 0x4e, 0x75, 0x2e]
        func isMatching(_ pickle: [UInt8]) -> Bool {
            let matchesBefore = pickle.withUnsafeBytes { locator.locate($0) && locator.matchesTemplate }
            if !matchesBefore { _ = pickle.withUnsafeBytes { locator.locateEmit($0) } }
            return matchesBefore
        }
        #expect(!isMatching(one) && isMatching(one))
        for _ in 0..<8 { #expect(!isMatching(Array(other))) }
        #expect(isMatching(Array(other)) && !isMatching(one))
    }

    @Test func `texts repeated by the memo are written up to a limit`() {
        let long = [0x58, 0xA0, 0x86, 0x01, 0x00] + [UInt8](repeating: 0x78, count: 100_000)
        // [long, [long, long, …], [long, long, …], …]
        let list = [0x5d, 0x28] + [[UInt8]](repeating: [0x68, 0], count: 4000).joined() + [0x65]
        let data = [0x5d, 0x28] + long + [0x71, 0] + [[UInt8]](repeating: list, count: 15).joined() + [0x65]
        Self.raw(data).withUnsafeBytes { bytes in
            var locator = PickleLocator()
            guard locator.locate(bytes), let event = Self.index(of: "event", locator),
                let data = Self.index(of: "data", locator)
            else {
                Issue.record("the locator refuses it")
                return
            }
            var writer = JSONWriter()
            let isWritten = locator.appendEvent(name: event, arguments: data, to: &writer, limits: PickleLimits())
            #expect(!isWritten && writer.count < 10 * bytes.count)
        }
    }
}
