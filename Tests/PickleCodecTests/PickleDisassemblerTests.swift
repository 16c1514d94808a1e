import Foundation
import Testing

@testable import PickleCodec

@Suite struct PickleDisassemblerTests {
    @Test func `a listing is what pickletools prints`() throws {
        guard let python = PickleEncodeFixtureTests.python else { return }
        var lines = ""
        var ours: [String] = []
        for record in try Fixtures.records("pickle-valid.jsonl")
        where ["edge", "graph", "socketio", "object:datetime", "object:uuid"].contains(record.category) {
            let pickle = record.pickle
            guard pickle.count < 2000 else { continue }
            var disassembler = PickleDisassembler()
            disassembler.maximumArgumentBytes = 10_000
            ours.append(disassembler.disassemble(pickle))
            lines += Data(pickle).base64EncodedString() + "\n"
        }
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("pickles-\(UUID()).txt")
        try lines.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let script = """
            import base64, io, pickletools, sys
            sys.stdout.reconfigure(encoding="utf-8", errors="replace")
            for line in open(sys.argv[1]):
                out = io.StringIO()
                pickletools.dis(base64.b64decode(line), out)
                sys.stdout.write(out.getvalue() + "\\x00")
            """
        let (status, output) = try PickleEncodeFixtureTests.run(python, ["-c", script, file.path])
        #expect(status == 0, "\(output.suffix(500))")
        let theirs = output.split(separator: "\0").map(String.init)
        #expect(theirs.count == ours.count)
        let differing = zip(ours, theirs).filter { Self.normalized($0) != Self.normalized($1) }
        print("pickletools: \(ours.count) listings compared, \(differing.count) differ")
        #expect(differing.count == 0, "\(differing.first?.0 ?? "")\n---\n\(differing.first?.1 ?? "")")
    }

    /// Without the arguments of text opcodes, whose spelling is ours, and trailing blanks.
    private static func normalized(_ listing: String) -> [String] {
        listing.split(separator: "\n").map { line in
            let kept =
                line.contains("UNICODE") || line.contains("STRING") || line.contains("FLOAT")
                    || line.contains("LONG") || line.contains(" INT ")
                ? line.prefix { $0 != "'" && $0 != "\"" }.split(separator: " ").prefix(3).joined(separator: " ")
                : String(line)
            return kept.trimmingCharacters(in: .whitespaces)
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
