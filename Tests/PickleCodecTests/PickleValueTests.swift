import Foundation
import Testing

@testable import PickleCodec

@Suite struct PickleValueTests {
    @Test func `typed views say what Python says`() throws {
        var checked = 0
        var failures: [String] = []
        for record in try Fixtures.records("pickle-valid.jsonl") {
            guard let wanted = record.fields["semantic"] as? [String: Any] else { continue }
            checked += 1
            let value: PickleValue
            do {
                value = try PickleValue(decoding: record.pickle)
            } catch {
                failures.append("\(record.id): \(error)")
                continue
            }
            if let failure = Self.difference(value, wanted) { failures.append("\(record.id): \(failure)") }
        }
        print("semantic: \(checked) views checked, \(failures.count) failed")
        #expect(failures.isEmpty, "\(failures.prefix(20))")
    }

    private static func difference(_ value: PickleValue, _ wanted: [String: Any]) -> String? {
        func same(_ own: String?, _ key: String) -> String? {
            let text = wanted[key] as? String
            return own == text ? nil : "\(own ?? "nil") instead of \(text ?? "nil")"
        }
        switch wanted["kind"] as? String {
        case "datetime":
            guard let view = value.dateTime else { return "no datetime" }
            if view.time.fold != wanted["fold"] as? Int { return "fold" }
            if (view.time.timeZone != nil) != (wanted["aware"] as? Bool) { return "aware" }
            if view.time.timeZone != nil, view.time.timeZone?.utcOffset == nil {
                return (wanted["iso"] as? String)?.hasPrefix("\(view)") == true ? nil : "\(view)"
            }
            return same("\(view)", "iso")
        case "date": return same(value.date.map { "\($0)" }, "iso")
        case "time":
            if value.time?.fold != wanted["fold"] as? Int { return "fold" }
            return same(value.time.map { "\($0)" }, "iso")
        case "timedelta":
            guard let view = value.timeDelta else { return "no timedelta" }
            return [view.days, view.seconds, view.microseconds]
                == [wanted["days"], wanted["seconds"], wanted["microseconds"]].map { $0 as? Int } ? nil : "\(view)"
        case "decimal": return same(value.decimal, "text")
        case "uuid": return same(value.uuidString, "text")
        case "complex":
            // NaN is NaN: text opcodes keep no sign of it.
            let own = [value.complex?.real, value.complex?.imaginary].map {
                $0.map { $0.isNaN ? .nan : $0 }?.bitPattern
            }
            let wanted = [wanted["re"], wanted["im"]].map { ($0 as? String).flatMap { UInt64($0, radix: 16) } }
                .map { $0.map { Double(bitPattern: $0) }.map { $0.isNaN ? .nan : $0 }?.bitPattern }
            return own == wanted ? nil : "\(own)"
        case "OrderedDict": return value.orderedDict?.count == wanted["len"] as? Int ? nil : "length"
        case "defaultdict": return value.defaultDict?.pairs.count == wanted["len"] as? Int ? nil : "length"
        case "deque":
            guard let view = value.deque else { return "no deque" }
            return view.items.count == wanted["len"] as? Int && view.maximumLength == wanted["maxlen"] as? Int
                ? nil : "\(view)"
        default: return "unknown kind"
        }
    }

    @Test func `trees survive writing and reading at every protocol`() throws {
        let value: PickleValue = [
            "none": .null, "yes": true, "numbers": [0, -1, 255, 65536, .int(.max), 1.5, .float(-0.0)],
            "text": "z\u{e9}\u{1f600}\n", "bytes": .bytes([0, 255]), "set": .set([1, "a"]),
            "tuple": .tuple([.tuple([]), .frozenset([])]),
            "object": .object(
                PickleObject(.reduce, .global(PickleName(module: "app", name: "Point")), arguments: [1, 2])),
            "lone": .surrogateString([0xed, 0xa0, 0x80]), "array": .bytearray([1, 2, 3]),
        ]
        for version in 0...5 {
            let pickle = try value.encoded(protocolVersion: version)
            let again = try PickleValue(decoding: pickle)
            #expect(again == value, "protocol \(version)")
            #expect(again.hashValue == value.hashValue)
        }
        #expect(value["numbers"]?[3]?.int == 65536)
        #expect(value.description.hasPrefix(#"{"none": None, "yes": True"#))
    }

    @Test func `a list that contains itself is a graph and no tree`() throws {
        let pickle = Array("]q\0h\0a.".utf8)
        let graph = try PickleGraph(decoding: pickle)
        #expect(graph.elements(of: graph.root) == [graph.root])
        #expect(try graph.encoded(protocolVersion: 2) == [0x80, 2] + pickle)
        #expect(throws: PickleError.self) { try PickleValue(decoding: pickle) }
    }
}
