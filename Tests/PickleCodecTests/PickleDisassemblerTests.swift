import Foundation
import Testing

@testable import PickleCodec

@Suite struct PickleDisassemblerTests {
    /// Opcodes with arguments of every kind, spelled as CPython wouldn't.
    private static let spellings = [
        "I00\n.", "I01\n.", "I+1\n.", "I 1_0 \n.", "I007\n.", "I-0\n.", "L5L\n.", "L5\n.", "L-00L\n.", "L 1\n.",
        "F1.5E+3\n.", "FInf\n.", "F-nan\n.",
        "F1_0.5\n.", "F 1e16\n.", "F1e400\n.", "F1e-7\n.", "F5\n.", "Va\\u20acb\\u0041\\n\\\\u0041\n.",
        "V\u{e9}\u{a0}\u{ad}\n.", "V\\ud83d\n.",
        "V\\U0001f600\\U000e0001\n.", "V\\u2028\\u200b\\u0378\n.", "V'\n.", "V'\"\n.", "V\"\n.",
        "S'a\\n\\'\\x41\\101\\q'\n.", "S\"it's\"\n.", "S''\n.",
        "U\u{3}\0\u{e9}\u{80}.", "T\u{2}\0\0\0'\\.", "C\u{4}\0'\u{ff}\u{7f}.", "C\u{2}'\".", "B\u{1}\0\0\0\n.",
        "\u{96}\u{2}\0\0\0\0\0\0\0'\t.", "\u{8c}\u{3}\u{e2}\u{80}\u{a8}.",
        "\u{8c}\u{3}\u{ed}\u{a0}\u{80}.", "\u{8c}\u{0}.", "X\u{4}\0\0\0\u{f0}\u{9f}\u{98}\u{80}.",
        "cos\nsys\\x74em\n.", "(ia b\nc\n.", "Pa\\tb\n.", "NQ.", "Np0\n0g0\n.",
        "Np+1\n0g 1\n.", "Np01\n0g01\n.", "Np007\n0g7\n.", "G\u{7f}\u{f0}\0\0\0\0\0\0.",
        "G\u{ff}\u{f0}\0\0\0\0\0\0.", "G?\u{b9}\u{99}\u{99}\u{99}\u{99}\u{99}\u{9a}.",
        "\u{8a}\0.", "\u{8a}\u{1}\u{ff}.", "\u{8b}\u{2}\0\0\0\0\u{1}.", "J\u{ff}\u{ff}\u{ff}\u{ff}.",
        "\u{82}\u{7}.", "\u{84}\u{7}\0\0\0.", "(NN1N.", "(0N.", "\u{80}\u{4}\u{95}\u{2}\0\0\0\0\0\0\0N.",
        "((NtNt.", "]\u{94}\u{94}h\u{1}0.", "]N2a\u{85}.",
    ]

    @Test func `a listing is what pickletools prints`() throws {
        guard let python = PickleEncodeFixtureTests.python else { return }
        var lines = ""
        var ours: [String] = []
        var disassembler = PickleDisassembler()
        disassembler.maximumArgumentBytes = .max
        disassembler.maximumOpcodes = .max
        var pickles = Self.spellings.map { text in text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }
        for record in try Fixtures.records("pickle-valid.jsonl") where record.pickle.count < 100_000 {
            pickles.append(record.pickle)
        }
        for pickle in pickles {
            ours.append(disassembler.disassemble(pickle))
            lines += Data(pickle).base64EncodedString() + "\n"
        }
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("pickles-\(UUID()).txt")
        try lines.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        // If pickletools gives up, its listing is compared up to that point.
        let script = """
            import base64, io, pickletools, sys, warnings
            warnings.simplefilter("ignore")
            sys.stdout.reconfigure(encoding="utf-8", errors="replace")
            for line in open(sys.argv[1]):
                out = io.StringIO()
                try: pickletools.dis(base64.b64decode(line), out)
                except Exception as error: out.write("gave up: %s" % error)
                sys.stdout.write(out.getvalue() + "\\x00")
            """
        let (status, output) = try PickleEncodeFixtureTests.run(python, ["-c", script, file.path])
        #expect(status == 0, "\(output.suffix(500))")
        let theirs = output.split(separator: "\0").map(String.init)
        try #require(theirs.count == ours.count)
        var (compared, gaveUp) = (0, 0)
        var differing: [String] = []
        for (our, their) in zip(ours, theirs) {
            compared += 1
            let end = their.range(of: "gave up: ")
            if end != nil { gaveUp += 1 }
            var listing = end.map { String(their[..<$0.lowerBound]) } ?? their
            if !our.hasPrefix(listing) { listing = Self.unescaped(listing) }
            if end == nil ? our != listing : !our.hasPrefix(listing) {
                let lines = zip(our.split(separator: "\n"), their.split(separator: "\n")).first { $0 != $1 }
                differing.append(lines.map { "\($0)\n\($1)" } ?? "\(our)--- pickletools:\n\(their)")
            }
        }
        print("pickletools: \(compared) listings compared, \(differing.count) differ, pickletools gave up on \(gaveUp)")
        #expect(differing.isEmpty, "\(differing.prefix(8).map { $0.prefix(700) }.joined(separator: "\n=====\n"))")
        #expect(!Fixtures.isOurs || gaveUp * 4 < compared)
    }

    /// Characters that have been assigned since Python's tables were made are printable.
    private static func unescaped(_ listing: String) -> String {
        listing.replacing(/\\U([0-9a-f]{8})/) { match in
            guard let scalar = UInt32(match.1, radix: 16).flatMap(Unicode.Scalar.init) else { return String(match.0) }
            let category = scalar.properties.generalCategory
            return [.unassigned, .privateUse, .format].contains(category) ? String(match.0) : String(scalar)
        }
    }

    @Test func `a broken pickle is listed up to where it breaks`() {
        let listing = PickleDisassembler().disassemble(Array("}(K\u{1}\u{1}".utf8))
        #expect(
            listing == """
                    0: }    EMPTY_DICT
                    1: (    MARK
                    2: K        BININT1    1
                pickle: byte 4: unknown opcode 0x01 (expected one of the 68 opcodes of protocols 0 to 5; is this a pickle?)

                """)
    }

    @Test func `an audit names what Python would have imported and called, thrown away or not`() {
        let audit = PickleAudit(of: Array("N(cos\nsystem\n(S'id'\ntR1.".utf8))
        #expect(audit.imports.map(\.description) == ["os.system"])
        #expect(audit.calls.map(\.name?.description) == ["os.system"])
        #expect(audit.error == nil)
        #expect(!audit.isPlainData)
        #expect(PickleAudit(of: Array("}.".utf8)).isPlainData)
        let broken = PickleAudit(of: Array("cos\nsystem\n(S'id'\ntR".utf8))
        #expect(broken.calls.count == 1)
        #expect(broken.error?.cause == .truncated)
    }
}
