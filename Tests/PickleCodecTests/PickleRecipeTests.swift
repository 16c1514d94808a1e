import PickleCodec
import Testing

/// The code of docs/pickle.md, with the public interface only.
@Suite struct PickleRecipeTests {
    @Test func `the recipes of the documentation work`() throws {
        let bytes: [UInt8] = [0x80, 4, 0x5d, 0x94, 0x28, 0x4b, 1, 0x4b, 2, 0x65, 0x2e]
        #expect("\(try PickleValue(decoding: bytes))" == "[1, 2]")

        let message: PickleValue = ["method": "emit", "event": "update", "data": ["time": 1], "room": .null]
        let pickle = try message.encoded(protocolVersion: 4)
        let read = try PickleValue(decoding: pickle)
        #expect(read["event"]?.string == "update")
        #expect(read["data"]?["time"]?.int == 1)

        struct Update: Codable, Equatable {
            var time: Int
            var skipSid: String?
        }
        var decoder = PickleDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let source: PickleValue = ["time": 7, "skip_sid": "a"]
        let update = try decoder.decode(Update.self, from: source.encoded())
        #expect(update == Update(time: 7, skipSid: "a"))
        #expect(try PickleDecoder().decode(Update.self, from: PickleEncoder().encode(update)) == update)

        let when = PickleObject(
            .reduce, .global(PickleName(module: "datetime", name: "datetime")),
            arguments: [.bytes([0x07, 0xe8, 2, 29, 12, 34, 56, 0x0c, 0x0a, 0x14])])
        #expect(PickleValue.object(when).dateTime.map { "\($0)" } == "2024-02-29T12:34:56.789012")

        let audit = PickleAudit(of: Array("cos\nsystem\n(S'id'\ntR.".utf8))
        #expect(!audit.isPlainData)
        #expect("\(audit.imports)" == "[os.system]")

        var builder = PickleGraph.Builder()
        let list = builder.list()
        builder.append(list, to: list)
        #expect(try builder.finish(root: list).encoded(protocolVersion: 2) == [0x80, 2] + Array("]q\0h\0a.".utf8))
    }

    @Test func `an error is one line`() {
        do throws(PickleError) {
            _ = try PickleValue(decoding: Array("(K\u{1}K\u{1}K\u{1}K\u{1}K\u{1}h\u{7}.".utf8))
            Issue.record("decoded")
        } catch {
            #expect(
                error.description == "pickle: byte 11: BINGET: memo has no entry 7 (expected an index stored earlier)")
            #expect(error.opcode == .binGet)
        }
    }
}
