import Bytes
import Testing

@testable import Bridge

@Suite struct NameTableTests {
    @Test func `what is set is found until it is removed, as in a dictionary`() {
        var generator = SystemRandomNumberGenerator()
        let table = NameTable<Int>()
        var model: [ByteString: Int] = [:]
        // Few names, so that places are taken and given back all the time, of every length that is hashed differently.
        let names = (0..<120).map { ByteString(bytes: (0..<$0 % 40).map { UInt8($0) } + [UInt8($0)]) } + [""]
        for step in 0..<20_000 {
            let name = names[Int.random(in: 0..<names.count, using: &generator)]
            if Bool.random(using: &generator) {
                table[name] = step
                model[name] = step
            } else {
                #expect(table.removeValue(for: name) == (model.removeValue(forKey: name) != nil))
            }
            let other = names[Int.random(in: 0..<names.count, using: &generator)]
            #expect(table[other] == model[other])
            #expect(other.withUnsafeBytes { table.contains($0) } == (model[other] != nil))
        }
        #expect(table.count == model.count)
        #expect(Set(table.names) == Set(model.keys))
        #expect(table.values.sorted() == model.values.sorted())
    }

    @Test func `values are let go of when they are replaced, removed, and with the table`() {
        final class Value {}
        weak var replaced: Value?
        weak var removed: Value?
        weak var kept: Value?
        do {
            let table = NameTable<Value>()
            func set(_ name: ByteString) -> Value {
                let value = Value()
                table[name] = value
                return value
            }
            replaced = set("a")
            #expect(replaced != nil)
            _ = set("a")
            #expect(replaced == nil)
            removed = set("b")
            table["b"] = nil
            #expect(removed == nil)
            // The table grows.
            kept = set("kept")
            for number in 0..<100 { _ = set(ByteString("room \(number)")) }
            #expect(kept != nil && table["kept"] === kept && table.count == 102)
        }
        #expect(kept == nil)
    }

    @Test func `names that differ in one byte have other hashes, spread over the table`() {
        for length in 1...40 {
            var hashes: Set<UInt64> = []
            var places: Set<UInt64> = []
            for place in 0..<length {
                for value in 1...255 {
                    var bytes = [UInt8](repeating: 0, count: length)
                    bytes[place] = UInt8(value)
                    let hash = bytes.withUnsafeBytes { KeyedHash.ofThisProcess.hash(of: $0) }
                    hashes.insert(hash)
                    places.insert(hash & 255)
                }
            }
            #expect(hashes.count == length * 255)
            #expect(places.count > 128)
        }
    }
}
