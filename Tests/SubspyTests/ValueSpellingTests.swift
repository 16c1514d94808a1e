import Bytes
import Foundation
import JSONCodec
import PickleCodec
import Testing

@testable import subspy

@Suite struct ValueSpellingTests {
    private struct Row: Decodable {
        let payload_b64: Data
        let repr: String?
        let json: String?
    }

    private static func rows() throws -> [Row] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let text = try Data(contentsOf: tests.appendingPathComponent("Fixtures/subspy-values.jsonl"))
        return try text.split(separator: 0x0A).map { try JSONDecoder().decode(Row.self, from: $0) }
    }

    @Test func `values are printed as Python prints them`() throws {
        var renderer = MessageRenderer(MessageReader())
        let rows = try Self.rows().filter { $0.repr != nil }
        #expect(rows.count > 150)
        for row in rows {
            renderer.inspectAndRender(Array(row.payload_b64))
            #expect(renderer.withBytes { String(decoding: $0, as: UTF8.self) } == row.repr)
        }
    }

    @Test func `values JSON lacks are objects with a tag`() throws {
        var renderer = MessageRenderer(MessageReader())
        let rows = try Self.rows().filter { $0.json != nil }
        #expect(rows.count > 100)
        for row in rows {
            let payload = Array(row.payload_b64)
            let text = payload.withUnsafeBytes { bytes in
                var writer = JSONWriter()
                renderer.prepare(for: bytes)
                _ = renderer.reader.inspect(bytes)
                renderer.appendJSON(to: &writer)
                return writer.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
            }
            #expect(text == row.json)
        }
    }

    @Test func `JSON that can be read back is the same value`() throws {
        var renderer = MessageRenderer(MessageReader())
        for row in try Self.rows() where row.json != nil {
            let payload = Array(row.payload_b64)
            // A container inside itself is no value.
            guard let value = try? renderer.reader.value(of: payload).value else { continue }
            var writer = JSONWriter()
            let refusal = payload.withUnsafeBytes { bytes in
                _ = renderer.reader.inspect(bytes)
                return MessageText.append(bytes, &renderer, to: &writer)
            }
            guard refusal == nil, !writer.withUnsafeBytes({ String(decoding: $0, as: UTF8.self) }).contains("nan")
            else {
                continue
            }
            let back = try writer.withUnsafeBytes { bytes in
                var document = JSONDocument()
                try document.parse(bytes)
                return try PickleValue(document.root, of: document, hasTags: true)
            }
            #expect(back == value)
        }
    }
}
