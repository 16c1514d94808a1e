import Bytes
import Foundation
import PickleCodec
import Testing

@testable import EmitFastLane

/// Compares the locator with the parser: it finds the same pairs, or leaves the pickle to the parser.
@Suite struct PickleLocatorTests {
    /// A difference between the pairs of locator and parser; nil if there is none, or if either refuses the bytes.
    static func difference(_ pickle: [UInt8], _ locator: inout PickleLocator, _ accepted: inout Int) -> String? {
        pickle.withUnsafeBytes { bytes in
            guard locator.locate(bytes) else { return nil }
            var document = PickleDocument()
            // The parser refuses it before any client gets it.
            guard (try? document.parse(bytes)) != nil else { return nil }
            accepted += 1
            guard document.kind(of: document.root) == .dict else { return "no dict" }
            var values: [[UInt8]: Int] = [:]
            for index in 0..<locator.count {
                values[Array(locator.keyText(at: index))] = index
                if let failure = extentFailure(extent(index, locator), index, locator) { return failure }
            }
            guard values.count == document.count(of: document.root) else { return "other keys" }
            var pairs = document.pairs(of: document.root)
            while let (key, value) = pairs.next(in: document) {
                guard let index = values[document.bytes(of: key).map(Array.init) ?? []] else { return "a missing key" }
                if let failure = difference(index, locator, value, document) { return failure }
                if let failure = difference(bytes[extent(index, locator)], value, document) { return failure }
            }
            return nil
        }
    }

    private static func extent(_ index: Int, _ locator: borrowing PickleLocator) -> Range<Int> {
        let value = locator[index].value
        return Int(value.start)..<Int(value.end)
    }

    private static func extentFailure(
        _ extent: Range<Int>, _ index: Int, _ locator: borrowing PickleLocator
    ) -> String? {
        if extent.isEmpty { return "an empty extent" }
        return index > 0 && extent.lowerBound <= Self.extent(index - 1, locator).upperBound
            ? "extents that overlap" : nil
    }

    private static func difference(
        _ index: Int, _ locator: borrowing PickleLocator, _ value: PickleNode, _ document: borrowing PickleDocument
    ) -> String? {
        let kind = document.kind(of: value)
        if (locator[index].kind == .none) != (kind == .none) { return "None instead of \(kind)" }
        let text = kind == .str ? document.bytes(of: value).map(Array.init) : nil
        // Texts of other opcodes are left to the parser.
        guard let found = locator.text(at: index).map(Array.init) else { return nil }
        return found == text ? nil : "another text"
    }

    /// The bytes of a value are a pickle of it, except for values from the memo.
    private static func difference(
        _ extent: Slice<UnsafeRawBufferPointer>, _ value: PickleNode, _ document: borrowing PickleDocument
    ) -> String? {
        // A frame's header may be inside of a value, and a value by itself has another frame.
        guard !extent.contains(PickleOpcode.frame.rawValue) else { return nil }
        return (Array(extent) + [PickleOpcode.stop.rawValue]).withUnsafeBytes { bytes in
            var part = PickleDocument()
            guard (try? part.parse(bytes)) != nil else { return nil }
            if part.consumedBytes != bytes.count { return "an extent with more than its value" }
            // Alone, the value has a memo with other values at the same indices.
            if bytes.contains(PickleOpcode.binGet.rawValue) { return nil }
            return part.kind(of: part.root) == document.kind(of: value) ? nil : "the extent of another value"
        }
    }

    /// An emit with each captured value, as CPython writes it at each protocol.
    static func messages() throws -> [[UInt8]] {
        var messages: [[UInt8]] = []
        for record in try Fixtures.records("pickle-valid.jsonl") where record.pickle.count < 5000 {
            guard let value = try? PickleValue(decoding: record.pickle) else { continue }
            let message: PickleValue = [
                "method": "emit", "event": "update", "data": value, "namespace": "/", "room": "update",
                "skip_sid": .null, "callback": .null, "host_id": "4f2b7f9d3c6e4a5bb1d20c9e8f7ab5c1",
            ]
            for version in 0...5 {
                if let pickle = try? message.encoded(protocolVersion: version) { messages.append(pickle) }
            }
        }
        return messages
    }

    @Test func `a captured pickle has the same pairs as in the parser, or is left to it`() throws {
        var locator = PickleLocator()
        var accepted = 0
        for name in ["pickle-valid.jsonl", "pickle-invalid.jsonl"] {
            for record in try Fixtures.records(name) {
                let failure = Self.difference(record.pickle, &locator, &accepted)
                #expect(failure == nil, "\(record.id)")
            }
        }
        print("locator: \(accepted) captured dicts agree")
        #expect(!Fixtures.isOurs || accepted > 0)
    }

    @Test func `messages with any captured value as data have the same pairs as in the parser`() throws {
        var locator = PickleLocator()
        var accepted = 0
        let messages = try Self.messages()
        for message in messages {
            let failure = Self.difference(message, &locator, &accepted)
            #expect(failure == nil, "\(Data(message).base64EncodedString())")
        }
        print("locator: \(accepted) of \(messages.count) messages accepted")
        // All but protocol 0, and objects of protocols that name classes by lines.
        #expect(accepted > messages.count / 2)
    }

    @Test func `texts from the memo are found at their first place, even within data`() {
        // {"event": "time", "data": {"time": 1}, "room": "time"} with "time" once.
        let pickle: [UInt8] =
            [0x80, 4, 0x7d, 0x94, 0x28] + Self.text("event") + Self.text("x") + Self.text("data") + [0x7d, 0x94]
            + Self.text("time") + [0x4b, 1, 0x73] + Self.text("room") + [0x68, 5, 0x75, 0x2e]
        pickle.withUnsafeBytes { bytes in
            var locator = PickleLocator()
            let isAccepted = locator.locate(bytes)
            #expect(isAccepted)
            #expect((0..<locator.count).map { String(decoding: locator.keyText(at: $0), as: UTF8.self) } == Self.keys)
            let room = locator.text(at: 2).map(Array.init)
            #expect(room == Array("time".utf8))
            let length = Self.extent(2, locator).count
            #expect(length == 2)
            let data = Array(bytes[Self.extent(1, locator)])
            #expect(data == [0x7d, 0x94] + Self.text("time") + [0x4b, 1, 0x73])
        }
    }

    private static let keys = ["event", "data", "room"]

    @Test func `opcodes that could change a message unnoticed are left to the parser`() {
        var locator = PickleLocator()
        for body in [
            // The dict from the memo, a copy of the topmost value, a discarded value, keys that aren't text.
            Array("}q\0(X\u{1}\0\0\0ah\0X\u{1}\0\0\0bNsu.".utf8), Array("}(X\u{1}\0\0\0a2u.".utf8),
            Array("}(X\u{1}\0\0\0aNN0u.".utf8), Array("}(K\u{1}Nu.".utf8), Array("}(X\u{1}\0\0\0au.".utf8),
            // More on the stack than the dict, no STOP, another value.
            Array("}N.".utf8), Array("}(X\u{1}\0\0\0aNu".utf8), Array("].".utf8), Array("N.".utf8), [],
        ] {
            let isAccepted = body.withUnsafeBytes { locator.locate($0) }
            #expect(!isAccepted, "\(body)")
            let count = locator.count
            #expect(count == 0)
        }
    }

    @Test func `the locator accepts as much as each of its bounds, and leaves more to the parser`() {
        func accepts(_ pickle: [UInt8]) -> Bool {
            var locator = PickleLocator()
            return pickle.withUnsafeBytes { locator.locate($0) }
        }
        func pairs(_ count: Int) -> [UInt8] {
            [0x7d, 0x28] + (0..<count).flatMap { Self.text("k\($0)").dropLast() + [0x4e] } + [0x75, 0x2e]
        }
        #expect(accepts(pairs(32)))
        #expect(!accepts(pairs(33)))
        func items(_ count: Int) -> [UInt8] {
            [0x7d] + Self.text("a").dropLast() + [0x5d, 0x28] + [UInt8](repeating: 0x4e, count: count)
                + [0x65, 0x73, 0x2e]
        }
        // The dict, the key and the list are on the stack too.
        #expect(accepts(items(4093)))
        #expect(!accepts(items(4094)))
        func batches(_ count: Int) -> [UInt8] {
            let batch = [0x5d, 0x28] + [UInt8](repeating: 0x4e, count: 999) + [0x65]
            return [0x7d] + Self.text("a").dropLast() + [0x5d, 0x28]
                + [[UInt8]](repeating: batch, count: count).joined() + [0x65, 0x73, 0x2e]
        }
        // 2^18 values in all.
        #expect(accepts(batches(262)))
        #expect(!accepts(batches(263)))
        func marks(_ count: Int) -> [UInt8] {
            [0x7d] + Self.text("a").dropLast() + [UInt8](repeating: 0x28, count: count)
                + [UInt8](repeating: 0x74, count: count) + [0x73, 0x2e]
        }
        #expect(accepts(marks(256)))
        #expect(!accepts(marks(257)))
    }

    private static func text(_ text: String) -> [UInt8] { [0x8c, UInt8(text.utf8.count)] + Array(text.utf8) + [0x94] }
}
