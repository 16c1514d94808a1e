import Bytes
import NIOCore
import PubSubMessages
import RedisPubSub
import Testing

@testable import Bridge

/// Changes of kept messages that are written to Redis, and stored values that are merged.
@Suite struct KeptMessagesStorageTests {
    private static let limits = KeptMessages.RoomLimits(bytes: 10_000, values: 100)

    private let store = KeptMessages(limitBytes: 1 << 20)

    private func slot(_ event: String, room: String = "r") -> KeptMessages.Slot {
        KeptMessages.Slot(namespace: "/", room: ByteString(room), event: ByteString(event), key: "")
    }

    private func packet(_ event: String, _ data: Int) -> EncodedPacket {
        var scratch = JSONWriter(capacity: 64)
        return EventBody(json: Array("[\"\(event)\",\(data)]".utf8)).withEncodedEvent {
            PacketBuilder($0, namespace: "/", scratch: &scratch).build()
        }
    }

    private func keep(_ event: String, _ data: Int, at stamp: Int64 = 10) {
        store.keep(
            .init(packet: packet(event, data), stamp: stamp, expires: 1_000_000), in: slot(event), limits: Self.limits)
    }

    private func merge(_ event: String, _ data: Int, at stamp: Int64, _ merge: KeptMerge, before: Int64 = 0) throws {
        let bytes = try #require(
            StoredValue.encode(packet(event, data), namespace: "/", stamp: stamp, expires: 1_000_000))
        let value = try #require(StoredValue(bytes))
        store.merge(slot(event), value, bytes, merge, limits: Self.limits, before: before) { packet(event, data) }
    }

    /// `event=data` of the changes that are taken, `-event` of a removal.
    private func taken(upToBytes limit: Int = 1 << 20) -> [String] {
        describe(store.takeChanges(upToBytes: limit))
    }

    private func describe(_ batch: KeptMessages.Batch) -> [String] {
        batch.values.map { field, value in
            let event = StoredValue(value).map { String(decoding: $0.event.json, as: UTF8.self) }
            return event ?? "damaged"
        } + batch.removals.map { "-" + (StoredValue.slot(ofField: $0)?.event.description ?? "damaged") }
    }

    private var given: [String] {
        store.packets(namespace: "/", room: "r", at: 0).compactMap { $0.content(ofPart: 0).map { String(buffer: $0) } }
    }

    @Test func `only changes of a writer are recorded, each slot once, with its last value`() {
        keep("a", 1)
        store.recordsChanges = true
        keep("b", 1)
        keep("c", 1)
        keep("b", 2)
        #expect(taken() == [#"["b",2]"#, #"["c",1]"#])
        #expect(taken() == [])
        keep("b", 3)
        store.recordsChanges = false
        store.recordsChanges = true
        #expect(taken() == [], "forgotten with the lease")
        keep("b", 4)
        #expect(taken() == [#"["b",4]"#])
    }

    @Test func `removals are recorded, and a value that comes again wins`() {
        store.recordsChanges = true
        keep("a", 1)
        _ = taken()
        store.forget(slot("a"))
        #expect(taken() == ["-a"])
        keep("a", 1)
        store.forget(slot("a"))
        keep("a", 2)
        #expect(taken() == [#"["a",2]"#])
        store.expire(at: 2_000_000)
        #expect(taken() == ["-a"])
    }

    @Test func `a batch is bounded, and the next takes the rest`() {
        store.recordsChanges = true
        for number in 0..<10 { keep("e\(number)", number) }
        let first = store.takeChanges(upToBytes: 1)
        #expect(describe(first) == [#"["e0",0]"#] && !first.isLast && first.lastExpiry == 1_000_000)
        #expect(taken().count == 9)
    }

    @Test func `what could not be written is taken again, in its newest state`() {
        store.recordsChanges = true
        keep("a", 1)
        keep("b", 1)
        keep("c", 1)
        let batch = store.takeChanges(upToBytes: 1 << 20)
        keep("a", 2)
        store.forget(slot("b"))
        store.putBack(batch)
        #expect(Set(taken()) == ["-b", #"["a",2]"#, #"["c",1]"#])
        #expect(taken() == [])
        store.recordsChanges = false
        store.putBack(batch)
        #expect(taken() == [], "the lease is gone")
    }

    @Test func `stored values of a synced server replace those from before, not live ones`() throws {
        keep("old", 1)
        keep("changed", 1)
        store.beginEpoch()
        keep("live", 2)
        store.forget(slot("gone"))
        store.beginMerge()
        try merge("changed", 2, at: 5, .stored)
        try merge("live", 1, at: 99, .stored)
        try merge("gone", 1, at: 99, .stored)
        try merge("new", 1, at: 4, .stored)
        #expect(!store.finishMerge(.stored))
        #expect(given == [#"42["new",1]"#, #"42["changed",2]"#, #"42["live",2]"#], "loaded ones first, in their order")
    }

    @Test func `a live value that the writer should have stored is found`() throws {
        store.beginEpoch()
        keep("a", 2, at: 50)
        for (before, isFound) in [(60, true), (40, false)] as [(Int64, Bool)] {
            store.beginMerge()
            try merge("a", 1, at: 10, .stored, before: before)
            #expect(store.finishMerge(.stored) == isFound)
        }
    }

    @Test func `where nobody was synced the newer value stays, and is written`() throws {
        keep("newer", 2, at: 50)
        keep("older", 1, at: 5)
        keep("same", 1, at: 50)
        keep("own", 1)
        store.beginEpoch()
        store.recordsChanges = true
        store.beginMerge()
        try merge("newer", 1, at: 10, .newer)
        try merge("older", 2, at: 10, .newer)
        try merge("same", 1, at: 10, .newer)
        #expect(store.finishMerge(.newer))
        #expect(Set(taken()) == [#"["newer",2]"#, #"["own",1]"#])
        #expect(Set(given) == [#"42["newer",2]"#, #"42["older",2]"#, #"42["same",1]"#, #"42["own",1]"#])
    }

    @Test func `a synced server that takes over writes what differs, and deletes what it has not`() throws {
        keep("same", 1)
        keep("differs", 1)
        keep("missing", 1)
        store.recordsChanges = true
        store.beginMerge()
        try merge("same", 1, at: 99, .own)
        try merge("differs", 2, at: 99, .own)
        try merge("unknown", 1, at: 99, .own)
        #expect(store.finishMerge(.own))
        #expect(Set(taken()) == [#"["differs",1]"#, #"["missing",1]"#, "-unknown"])
        store.beginMerge()
        for event in ["same", "differs", "missing"] { try merge(event, 1, at: 99, .own) }
        #expect(!store.finishMerge(.own) && taken() == [])
    }

    @Test func `all values of an event that were forgotten stay forgotten`() throws {
        store.forget(event: "a", namespace: "/", room: "r")
        store.beginMerge()
        try merge("a", 1, at: 99, .stored)
        try merge("b", 1, at: 99, .stored)
        _ = store.finishMerge(.stored)
        #expect(given == [#"42["b",1]"#])
    }

    @Test func `messages get later stamps than loaded values, unless a clock is far ahead`() throws {
        store.beginMerge()
        try merge("a", 1, at: 500, .stored)
        #expect(store.stamp(at: 100) == 501)
        try merge("b", 1, at: WallClock.now() + 1_000_000, .stored)
        #expect(store.stamp(at: 100) == 502)
    }

    @Test func `loaded values beyond the bounds are left out`() throws {
        for number in 0..<200 { try merge("e\(number)", number, at: Int64(number + 1), .stored) }
        #expect(store.valueCount <= 100)
        #expect(given.last == #"42["e199",199]"#)
    }
}
