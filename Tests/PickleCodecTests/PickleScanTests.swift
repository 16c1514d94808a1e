import Foundation
import JSONCodec
import Testing

@testable import PickleCodec

/// The scan of a message against the full parse: it finds the same, or leaves the pickle to the full parse.
@Suite struct PickleScanTests {
    /// What the full parse finds otherwise than an accepted scan; nil if nothing or if either refuses.
    static func difference(_ pickle: [UInt8], _ scan: inout PickleScan, _ accepted: inout Int) -> String? {
        pickle.withUnsafeBytes { bytes in
            guard scan.scan(bytes) else { return nil }
            var document = PickleDocument()
            // What only the full parse refuses is refused by it before anybody gets it.
            guard (try? document.parse(bytes)) != nil else { return nil }
            accepted += 1
            guard document.kind(of: document.root) == .dict else { return "no dict" }
            var values: [[UInt8]: Int] = [:]
            for index in 0..<scan.count {
                values[scan.text(of: scan.key(at: index)).map(Array.init) ?? []] = index
                if let failure = extentFailure(scan.extent(at: index), index, scan) { return failure }
            }
            guard values.count == document.count(of: document.root) else { return "other keys" }
            var pairs = document.pairs(of: document.root)
            while let (key, value) = pairs.next(in: document) {
                guard let index = values[document.bytes(of: key).map(Array.init) ?? []] else { return "a missing key" }
                if let failure = difference(scan.value(at: index), scan, value, document) { return failure }
                if let failure = difference(bytes[scan.extent(at: index)], value, document) { return failure }
            }
            return nil
        }
    }

    private static func extentFailure(
        _ extent: Range<Int>, _ index: Int, _ scan: borrowing PickleScan
    ) -> String? {
        if extent.isEmpty { return "an empty extent" }
        return index > 0 && extent.lowerBound <= scan.extent(at: index - 1).upperBound ? "extents that overlap" : nil
    }

    private static func difference(
        _ found: PickleScan.Node, _ scan: borrowing PickleScan, _ value: PickleNode,
        _ document: borrowing PickleDocument
    ) -> String? {
        guard let kind = scan.kind(of: found) else { return nil }
        if kind != document.kind(of: value) { return "\(kind) instead of \(document.kind(of: value))" }
        if scan.int64(found) != document.int64(value) { return "another number" }
        if scan.double(found)?.bitPattern != document.double(value)?.bitPattern { return "another float" }
        let text = kind == .str ? document.bytes(of: value).map(Array.init) : nil
        return scan.text(of: found).map(Array.init) == text ? nil : "another text"
    }

    /// The bytes of a value are a pickle of it, but for what it has from the memo.
    private static func difference(
        _ extent: Slice<UnsafeRawBufferPointer>, _ value: PickleNode, _ document: borrowing PickleDocument
    ) -> String? {
        // Inside of frames a value may be cut by a frame's header, and lies in another frame when it is alone.
        guard !extent.contains(PickleOpcode.frame.rawValue) else { return nil }
        return (Array(extent) + [PickleOpcode.stop.rawValue]).withUnsafeBytes { bytes in
            var part = PickleDocument()
            guard (try? part.parse(bytes)) != nil else { return nil }
            if part.consumedBytes != bytes.count { return "an extent with more than its value" }
            // A memo that starts with the value has other values at the same indices.
            if bytes.contains(PickleOpcode.binGet.rawValue) { return nil }
            return part.kind(of: part.root) == document.kind(of: value) ? nil : "the extent of another value"
        }
    }

    /// An emit of each captured value, as CPython writes it at each protocol.
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

    @Test func `a captured pickle is found to be the same, or left to the full parse`() throws {
        var scan = PickleScan()
        var accepted = 0
        for name in ["pickle-valid.jsonl", "pickle-invalid.jsonl"] {
            for record in try Fixtures.records(name) {
                let failure = Self.difference(record.pickle, &scan, &accepted)
                #expect(failure == nil, "\(record.id)")
            }
        }
        print("scan: \(accepted) captured dicts agree")
        #expect(!Fixtures.isOurs || accepted > 0)
    }

    @Test func `messages with any captured value as their data are scanned as they are parsed`() throws {
        var scan = PickleScan()
        var accepted = 0
        let messages = try Self.messages()
        for message in messages {
            let failure = Self.difference(message, &scan, &accepted)
            #expect(failure == nil, "\(Data(message).base64EncodedString())")
        }
        print("scan: \(accepted) of \(messages.count) messages accepted")
        // All but protocol 0, and objects of protocols that name classes by lines.
        #expect(accepted > messages.count / 2)
    }

    @Test func `a damaged message is found to be the same, or left to the full parse`() throws {
        let runs = ProcessInfo.processInfo.environment["WS_EMIT_FUZZ_RUNS"].flatMap { Int($0) } ?? 5_000
        let seed = ProcessInfo.processInfo.environment["WS_EMIT_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
        var generator = SplitMix64(state: seed)
        var scan = PickleScan()
        var accepted = 0
        let messages = try Self.messages().filter { $0.count < 600 }
        for run in 0..<runs {
            let pickle = PickleMutationTests.mutated(messages, &generator)
            let failure = Self.difference(pickle, &scan, &accepted)
            #expect(failure == nil, "run \(run) of seed \(seed): \(Data(pickle).base64EncodedString())")
        }
        print("scan mutation: \(runs) runs from seed \(seed), \(accepted) were still messages")
        #expect(accepted > 0)
    }

    @Test func `texts from the memo are found where they were first, also within data`() {
        // {"event": "time", "data": {"time": 1}, "room": "time"} with "time" once.
        let pickle: [UInt8] =
            [0x80, 4, 0x7d, 0x94, 0x28] + Self.text("event") + Self.text("x") + Self.text("data") + [0x7d, 0x94]
            + Self.text("time") + [0x4b, 1, 0x73] + Self.text("room") + [0x68, 5, 0x75, 0x2e]
        pickle.withUnsafeBytes { bytes in
            var scan = PickleScan()
            let isAccepted = scan.scan(bytes)
            #expect(isAccepted)
            let room = scan.index(ofKey: "room")
            let text = room.flatMap { scan.text(of: scan.value(at: $0)) }.map(Array.init)
            #expect(text == Array("time".utf8))
            let length = room.map { scan.extent(at: $0).count }
            #expect(length == 2)
            let data = scan.index(ofKey: "data").map { Array(bytes[scan.extent(at: $0)]) }
            #expect(data == [0x7d, 0x94] + Self.text("time") + [0x4b, 1, 0x73])
            let namespace = scan.index(ofKey: "namespace")
            #expect(namespace == nil)
        }
    }

    @Test func `of equal keys the last one counts`() {
        let pickle: [UInt8] = [0x7d, 0x28] + Self.text("a") + [0x4b, 1] + Self.text("a") + [0x4b, 2, 0x75, 0x2e]
        pickle.withUnsafeBytes { bytes in
            var scan = PickleScan()
            let isAccepted = scan.scan(bytes)
            #expect(isAccepted)
            let number = scan.index(ofKey: "a").flatMap { scan.int64(scan.value(at: $0)) }
            #expect(number == 2)
        }
    }

    @Test func `what could change a message out of sight is left to the full parse`() {
        var scan = PickleScan()
        for body in [
            // The dict from the memo, a copy of the topmost value, a value thrown away, keys that are no text.
            Array("}q\0(X\u{1}\0\0\0ah\0X\u{1}\0\0\0bNsu.".utf8), Array("}(X\u{1}\0\0\0a2u.".utf8),
            Array("}(X\u{1}\0\0\0aNN0u.".utf8), Array("}(K\u{1}Nu.".utf8), Array("}(X\u{1}\0\0\0au.".utf8),
            // More on the stack than the dict, no STOP, another value.
            Array("}N.".utf8), Array("}(X\u{1}\0\0\0aNu".utf8), Array("].".utf8), Array("N.".utf8), [],
        ] {
            let isAccepted = body.withUnsafeBytes { scan.scan($0) }
            #expect(!isAccepted, "\(body)")
            let count = scan.count
            #expect(count == 0)
        }
    }

    @Test func `each bound of the scan holds exactly and leaves one more to the full parse`() {
        func accepts(_ pickle: [UInt8]) -> Bool {
            var scan = PickleScan()
            return pickle.withUnsafeBytes { scan.scan($0) }
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
        func marks(_ count: Int) -> [UInt8] {
            [0x7d] + Self.text("a").dropLast() + [UInt8](repeating: 0x28, count: count)
                + [UInt8](repeating: 0x74, count: count) + [0x73, 0x2e]
        }
        #expect(accepts(marks(256)))
        #expect(!accepts(marks(257)))
    }

    private static func text(_ text: String) -> [UInt8] { [0x8c, UInt8(text.utf8.count)] + Array(text.utf8) + [0x94] }
}
