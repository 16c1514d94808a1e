import Bytes
import Foundation
import PickleCodec
import Testing

@testable import PubSubMessages

/// Messages of numpy 1.26.4 and 2.4.6 (Tests/Fixtures/make_pickle_numpy.py), with the results of Python's receivers.
@Suite(.bothWays) struct NumPyMessageTests {
    struct Record: Decodable {
        let id: String
        let pickle_b64: Data
        let event: String?
        let attachments: [String]?
        let refused: String?
    }

    static func records() throws -> [Record] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../Fixtures/pickle-numpy.jsonl").standardizedFileURL
        return try Data(contentsOf: file).split(separator: 0x0a).map {
            let decoder = JSONDecoder()
            return try decoder.decode(Record.self, from: $0)
        }
    }

    let decoder = makeDecoder(hostID: "own")

    @Test func `float64, str_ and bytes_ arrive as from Python, in data, keys, event and room`() throws {
        let records = try Self.records().filter { $0.refused == nil }
        #expect(records.count == 84)
        for record in records {
            let payload = Array(record.pickle_b64)
            guard case .emit(let emit) = try decoder.decode(bytes: payload) else {
                Issue.record("\(record.id): no emit")
                continue
            }
            #expect(emit.rooms == .these([ByteString("r\u{f6}\u{f6}m")]), "\(record.id)")
            // Browsers refuse Python's NaN, so we write null.
            var expected = try #require(record.event).replacing("-Infinity,", with: "null,").replacing(
                "[NaN", with: "[null"
            )
            .replacing(",NaN", with: ",null").replacing("-Infinity]", with: "null]")
            for attachment in record.attachments ?? [] {
                expected +=
                    "|"
                    + stride(from: 0, to: attachment.count, by: 2).map { at in
                        let start = attachment.index(attachment.startIndex, offsetBy: at)
                        return String(Int(attachment[start...].prefix(2), radix: 16) ?? -1, radix: 16)
                    }.joined(separator: ",")
            }
            for _ in 0..<3 { #expect(try decoder.event(payload) == expected, "\(record.id)") }
        }
    }

    @Test func `other scalars are refused as in Python, and the error names item`() throws {
        let records = try Self.records().filter { $0.refused != nil }
        #expect(records.count == 52)
        for record in records {
            let error = #expect(throws: PubSubMessageError.self, "\(record.id)") {
                try decoder.event(Array(record.pickle_b64))
            }
            let sentence = error.map { "\($0)" } ?? ""
            let isArray = record.id.hasPrefix("ndarray")
            #expect(sentence.contains(isArray ? "publish its .tolist()" : ".item()"), "\(record.id): \(sentence)")
            // Python's error has the same words: "Object of type int64 is not JSON serializable".
            let type = record.id.prefix { $0 != " " }
            #expect(sentence.contains("numpy.\(type == "key" ? "int64" : type)"), "\(record.id): \(sentence)")
        }
    }

    @Test func `a scalar that numpy would not read is refused`() throws {
        func message(_ scalar: String) -> [UInt8] {
            Array(
                "(dVmethod\nVemit\nsVevent\nVe\nsVroom\nVr\nsVnamespace\nV/\nsVdata\n\(scalar)s.".unicodeScalars.map {
                    UInt8(truncatingIfNeeded: $0.value)
                })
        }
        func scalar(_ code: String, state: String = "(I3\nV<\nNNNI-1\nI-1\nI0\ntb", _ data: String) -> String {
            "cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(V\(code)\nI0\nI1\ntR\(state)c_codecs\nencode\n(V\(data)\nVlatin1\ntRtR"
        }
        let size = { (bytes: Int) in "(I3\nV<\nNNNI\(bytes)\nI4\nI8\ntb" }
        #expect(
            try decoder.event(message(scalar("f8", "\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\u{f8}?")))
                == #"["e",1.5]"#)
        #expect(
            try decoder.event(message(scalar("<f8", state: "", "\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\u{f8}?")))
                == #"["e",1.5]"#)
        #expect(try decoder.event(message(scalar("U1", state: size(4), "a\\u0000\\u0000\\u0000"))) == #"["e","a"]"#)
        for bad in [
            scalar("f8", "short"), scalar("f8", state: "(I3\nV<\nNNNI2\nI-1\nI0\ntb", "ab"), scalar("", "12345678"),
            scalar("U9", state: size(36), "a\\u0000\\u0000\\u0000"),
            scalar("U1", state: size(4), "\u{ff}\u{ff}\u{ff}\\u007f"),
            scalar("U1", state: size(3), "abc"), scalar("U99999999999", state: "", "a"),
            scalar("U1", state: size(-4), "abcd"),
            scalar("f8", state: "(I3\ntb", "12345678"), "cnumpy._core.multiarray\nscalar\n(tR",
            "cnumpy._core.multiarray\nscalar\n(NNtR", "cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(tRC\u{1}atR",
        ] {
            #expect(throws: PubSubMessageError.self, "\(bad)") { try decoder.event(message(bad)) }
        }
    }

    @Test func `members of nested enums are written by value at protocols below 4 too`() throws {
        // pickle.dumps of CPython 3.7.16 and 3.11.7, protocol 0: class Order with the enums Status and Prio, and Deep in In.
        let pickle = """
            (dp0\nVmethod\np1\nVemit\np2\nsVevent\np3\nVe\np4\nsVdata\np5\n(lp6\nc__builtin__\ngetattr\np7\n(capp\nOrder\np8\n\
            VStatus\np9\ntp10\nRp11\n(Vpaid\np12\ntp13\nRp14\nag7\n(g8\nVPrio\np15\ntp16\nRp17\n(I3\ntp18\nRp19\nag7\n(g7\n(g8\n\
            VIn\np20\ntp21\nRp22\nVDeep\np23\ntp24\nRp25\n(Va\np26\ntp27\nRp28\na(dp29\ng14\nI1\nsas.
            """
        #expect(try decoder.event(text: pickle) == #"["e",["paid",3,"a",{"paid":1}]]"#)
        // A class method isn't a class, and its result is unknown.
        for other in ["VStatus": "Vstatus", "capp": "cpathlib"] {
            #expect(throws: PubSubMessageError.self) {
                try decoder.event(text: pickle.replacing(other.key, with: other.value))
            }
        }
    }

    @Test(arguments: [
        // pickle.dumps of an enum member on CPython 3.11.2, protocols 0 and 4.
        "c__builtin__\ngetattr\n(capp\nColor\nVRED\ntR", "cbuiltins\ngetattr\ncapp\nColor\nX\u{3}\0\0\0RED\u{86}R",
        "capp\nRED\n",
    ])
    func `an enum member that is pickled by name is refused with the advice to publish its value`(member: String) throws
    {
        let head = Array("\u{80}".unicodeScalars.map { UInt8($0.value) }) + [2]
        let body = "(dX\u{6}\0\0\0methodX\u{4}\0\0\0emitsX\u{5}\0\0\0eventX\u{1}\0\0\0esX\u{4}\0\0\0dataP".dropLast()
        let payload = head + (body + member + "s.").unicodeScalars.map { UInt8($0.value) }
        let error = #expect(throws: PubSubMessageError.self) { try decoder.event(payload) }
        let sentence = error.map { "\($0)" } ?? ""
        #expect(sentence.contains(".value") && sentence.contains("app.") && sentence.contains("RED"), "\(sentence)")
    }
}
