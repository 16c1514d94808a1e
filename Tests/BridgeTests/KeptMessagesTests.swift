import Bytes
import NIOCore
import PubSubMessages
import Testing

@testable import Bridge

@Suite struct KeptMessagesTests {
    private let roomy = KeptMessages.RoomLimits(bytes: 1 << 20, values: 1000)

    private func slot(_ event: String, key: String = "", room: String = "r", namespace: String = "/")
        -> KeptMessages.Slot
    {
        .init(
            namespace: ByteString(namespace), room: ByteString(room), event: ByteString(event), key: ByteString(key))
    }

    private func value(_ text: String, _ store: KeptMessages, at now: Int64 = 0, for age: Int64 = 1000)
        -> KeptMessages.Value
    {
        let packet = Array(text.utf8).withUnsafeBytes { EncodedPacket(text: $0) }
        return .init(packet: packet, stamp: store.stamp(at: now), expires: now + age)
    }

    private func texts(_ store: KeptMessages, room: String = "r", namespace: String = "/", at now: Int64 = 0)
        -> [String]
    {
        store.packets(namespace: ByteString(namespace), room: ByteString(room), at: now).map { packet in
            var payload = ByteBuffer()
            packet.appendPart(0, to: &payload)
            return String(buffer: payload)
        }
    }

    @Test func aRoomHasTheLastMessageOfEachEventInTheOrderOfPublishing() {
        let store = KeptMessages(limitBytes: 1 << 20)
        store.keep(value("a1", store), in: slot("a"), limits: roomy)
        store.keep(value("b1", store), in: slot("b"), limits: roomy)
        store.keep(value("a2", store), in: slot("a"), limits: roomy)
        #expect(texts(store) == ["b1", "a2"])
        #expect(store.valueCount == 2)
    }

    @Test func anEventHasAValueForEachKey() {
        let store = KeptMessages(limitBytes: 1 << 20)
        for key in ["x", "y", "x"] { store.keep(value(key, store), in: slot("price", key: key), limits: roomy) }
        #expect(texts(store) == ["y", "x"])
        store.forget(slot("price", key: "y"))
        #expect(texts(store) == ["x"])
        store.keep(value("other", store), in: slot("stock"), limits: roomy)
        store.forget(event: "price", namespace: "/", room: "r")
        #expect(texts(store) == ["other"])
    }

    @Test func roomsAndNamespacesOfTheSameNameAreApart() {
        let store = KeptMessages(limitBytes: 1 << 20)
        store.keep(value("one", store), in: slot("a"), limits: roomy)
        store.keep(value("two", store), in: slot("a", namespace: "/n"), limits: roomy)
        store.keep(value("three", store), in: slot("a", room: "s"), limits: roomy)
        #expect(texts(store) == ["one"])
        #expect(texts(store, namespace: "/n") == ["two"])
        #expect(texts(store, room: "s") == ["three"])
    }

    @Test func anOldMessageIsNotGivenEvenBeforeItIsRemoved() {
        let store = KeptMessages(limitBytes: 1 << 20)
        store.keep(value("short", store, for: 10), in: slot("a"), limits: roomy)
        store.keep(value("long", store, for: 100), in: slot("b"), limits: roomy)
        #expect(texts(store, at: 9) == ["short", "long"])
        #expect(texts(store, at: 10) == ["long"])
        #expect(store.valueCount == 2)
        store.expire(at: 10)
        #expect(store.valueCount == 1 && store.counters.expired == 1)
        store.expire(at: 100)
        #expect(store.isEmpty && store.byteCount == 0)
    }

    @Test func theRoomUsedLongestAgoMakesRoomFirst() {
        let cost = cost(of: "x", room: "1")
        let store = KeptMessages(limitBytes: 3 * cost)
        for room in ["1", "2", "3"] { store.keep(value("x", store), in: slot("a", room: room), limits: roomy) }
        // A join uses the oldest room.
        #expect(texts(store, room: "1") == ["x"])
        store.keep(value("x", store), in: slot("a", room: "4"), limits: roomy)
        #expect(texts(store, room: "2") == [] && texts(store, room: "1") == ["x"] && texts(store, room: "3") == ["x"])
        #expect(store.counters.evicted == 1)
        #expect(store.byteCount == 3 * cost)
    }

    private func cost(of text: String, room: String) -> Int {
        let store = KeptMessages(limitBytes: 1 << 20)
        store.keep(value(text, store), in: slot("a", room: room), limits: roomy)
        return store.byteCount
    }

    @Test func aRoomIsBoundedInValuesAndBytesAndLosesItsOldestFirst() {
        let store = KeptMessages(limitBytes: 1 << 20)
        for key in ["1", "2", "3"] {
            store.keep(value(key, store), in: slot("a", key: key), limits: .init(bytes: 1 << 20, values: 2))
        }
        #expect(texts(store) == ["2", "3"])
        let two = store.byteCount
        store.keep(value("4", store), in: slot("a", key: "4"), limits: .init(bytes: two, values: 1000))
        #expect(texts(store) == ["3", "4"])
        #expect(store.counters.evicted == 2)
    }

    @Test func aMessageBeyondTheBoundIsNotKeptAndTheOneBeforeItIsForgotten() {
        let store = KeptMessages(limitBytes: 1 << 20)
        store.keep(value("small", store), in: slot("a"), limits: roomy)
        let large = value(String(repeating: "x", count: 2000), store)
        #expect(!store.keep(large, in: slot("a"), limits: .init(bytes: 1000, values: 10)))
        #expect(texts(store) == [])
        #expect(store.counters.tooLarge == 1 && store.byteCount == 0 && store.isEmpty)
    }

    @Test func aLoadedValueIsGivenToThoseWhoJoinedBeforeIt() {
        let store = KeptMessages(limitBytes: 1 << 20)
        func load(_ event: String, stamp: Int64) {
            let packet = Array(event.utf8).withUnsafeBytes { EncodedPacket(text: $0) }
            store.load(.init(packet: packet, stamp: stamp, expires: 1000), in: slot(event), limits: roomy)
        }
        func later(than count: Int) -> Int { store.packets(namespace: "/", room: "r", loadedAfter: count, at: 0).count }
        load("a", stamp: 1)
        let count = store.loadCount
        #expect(later(than: 0) == 1 && later(than: count) == 0)
        load("b", stamp: 2)
        #expect(later(than: count) == 1)
        load("a", stamp: 1)
        #expect(later(than: count) == 1, "it is the same")
        store.keep(value("b2", store), in: slot("b"), limits: roomy)
        #expect(later(than: count) == 0, "a newer one was received meanwhile")
    }

    @Test func stampsIncreaseEvenIfTheClockDoesNot() {
        let store = KeptMessages(limitBytes: 1)
        #expect([5, 5, 3, 9].map { store.stamp(at: $0) } == [5, 6, 7, 9])
    }

    @Test func whateverIsKeptAndForgottenTheSumsAreRight() {
        var random = SystemRandomNumberGenerator()
        let store = KeptMessages(limitBytes: 20_000)
        for step in 0..<5000 {
            let slot = slot(
                "e\(random.next(upperBound: UInt(3)))", key: "\(random.next(upperBound: UInt(4)))",
                room: "\(random.next(upperBound: UInt(9)))")
            switch random.next(upperBound: UInt(8)) {
            case 0: store.forget(slot)
            case 1: store.forget(event: slot.event, namespace: "/", room: slot.room)
            case 2: store.expire(at: Int64(step))
            case 3: _ = store.packets(namespace: "/", room: slot.room, at: Int64(step))
            default:
                let text = String(repeating: "x", count: Int(random.next(upperBound: UInt(800))))
                let limits = KeptMessages.RoomLimits(bytes: 4000, values: 5)
                store.keep(value(text, store, at: Int64(step), for: 200), in: slot, limits: limits)
            }
            #expect(store.byteCount <= 20_000)
        }
        let names = store.roomNames
        let count = names.reduce(0) { sum, name in
            sum + (store.summary(namespace: name.namespace, room: name.room)?.count ?? 0)
        }
        #expect(count == store.valueCount)
        store.expire(at: .max)
        #expect(store.isEmpty && store.byteCount == 0 && store.valueCount == 0)
    }
}
