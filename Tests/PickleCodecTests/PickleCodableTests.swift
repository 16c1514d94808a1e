import Testing

@testable import PickleCodec

@Suite struct PickleCodableTests {
    struct Update: Codable, Equatable {
        var method: String
        var skipSid: String?
        var time: Double
        var counts: [Int: UInt64]
        var rows: [Row]
        var blob: [UInt8]
        var extra: PickleValue
    }

    struct Row: Codable, Equatable {
        var id: Int
        var ok: Bool
    }

    static let update = Update(
        method: "emit", skipSid: nil, time: 1.5, counts: [1: .max, 2: 0],
        rows: [Row(id: 1, ok: true), Row(id: -2, ok: false)],
        blob: [0, 255], extra: .tuple([1, .null]))

    @Test(arguments: 0...5) func `a struct written is the struct read`(version: Int) throws {
        var encoder = PickleEncoder()
        encoder.protocolVersion = version
        encoder.keyEncodingStrategy = .convertToSnakeCase
        var decoder = PickleDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let pickle = try encoder.encode(Self.update)
        #expect(try decoder.decode(Update.self, from: pickle) == Self.update)
    }

    @Test func `an empty array is a list, and bytes only when it is one of bytes`() throws {
        struct Empty: Encodable {
            let texts: [String] = []
            let bytes: [UInt8] = []
        }
        #expect(try PickleEncoder().encodeValue(Empty()) == ["texts": .list([]), "bytes": .bytes([])])
        #expect(try PickleEncoder().encodeValue([Row]()) == .list([]))
    }

    @Test func `what Python wrote is read with one call`() throws {
        // pickle.dumps({'id': 7, 'ok': True}, 2)
        let pickle: [UInt8] =
            [0x80, 2] + Array("}q\0(X\u{2}\0\0\0idq\u{1}K\u{7}X\u{2}\0\0\0okq\u{2}".utf8) + [0x88] + Array("u.".utf8)
        #expect(try PickleDecoder().decode(Row.self, from: pickle) == Row(id: 7, ok: true))
    }

    @Test func `an error names the path and what was found`() throws {
        let value: PickleValue = ["rows": [["id": 1, "ok": true], ["id": "x", "ok": true]]]
        struct Rows: Codable { var rows: [Row] }
        do {
            _ = try PickleDecoder().decode(Rows.self, from: value)
            Issue.record("decoded")
        } catch DecodingError.typeMismatch(_, let context) {
            #expect(context.codingPath.map(\.stringValue) == ["rows", "1", "id"])
            #expect(context.debugDescription == #"expected Int, found "x""#)
        }
    }

    @Test func `numbers convert only where nothing is lost`() throws {
        #expect(try PickleDecoder().decode([Int8].self, from: PickleValue.list([127, 3.0])) == [127, 3])
        #expect(throws: DecodingError.self) { try PickleDecoder().decode([Int8].self, from: PickleValue.list([128])) }
        #expect(throws: DecodingError.self) { try PickleDecoder().decode([Int].self, from: PickleValue.list([1.5])) }
        #expect(throws: DecodingError.self) { try PickleDecoder().decode([UInt].self, from: PickleValue.list([-1])) }
        #expect(throws: DecodingError.self) { try PickleDecoder().decode([String].self, from: PickleValue.list([1])) }
    }
}
