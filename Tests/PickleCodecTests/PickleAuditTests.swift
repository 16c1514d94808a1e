import Foundation
import Testing

@testable import PickleCodec

@Suite struct PickleAuditTests {
    @Test(arguments: [
        "U\u{2}osU\u{6}system\u{93}", "S'os'\nS'sys\\x74em'\n\u{93}", "Vos\nVsys\\u0074em\n\u{93}",
        "I+1\n0cos\nsystem\n",
        "I0x1\n0cos\nsystem\n", "I 1 \n0cos\nsystem\n", "FInf\n0cos\nsystem\n", "F+1.5E+3\n0cos\nsystem\n",
        "p+1\ncos\nsystem\n",
        "\u{95}\u{2}\0\0\0\0\0\0\0\u{8c}\u{2}os\u{8c}\u{6}system\u{93}", "\u{95}\u{5}\0\0\0\0\0\0\0cos\nsystem\n",
        "\u{95}\u{c}\0\0\0\0\0\0\0\u{95}\u{3}\0\0\0\0\0\0\0cos\nsystem\n", "\u{95}\u{ff}\0\0\0\0\0\0\0cos\nsystem\n",
        "]N\u{81}cos\nsystem\n", "Nb0cos\nsystem\n", "K\u{1}K\u{2}\u{93}cos\nsystem\n", "\u{82}\u{7}0cos\nsystem\n",
        "\u{97}0cos\nsystem\n", "}]Ns0cos\nsystem\n", "h\u{9}cos\nsystem\n", "I08\ncos\nsystem\n",
        "\u{80}\u{9}cos\nsystem\n",
        "cos\nsystem\n(S'id'\nlR0cos\nsystem\n", "(S'id'\nios\nsystem\n", "N.cos\nsystem\n",
        "N.K\u{1}.\u{80}\u{2}cos\nsystem\n",
        "X\u{2}\0\0\0osq\u{0}X\u{6}\0\0\0systemq\u{1}.h\0h\u{1}\u{93}",
        "\u{8c}\u{2}os\u{94}\u{8c}\u{6}system\u{94}.\u{8c}\u{4}math\u{94}\u{8c}\u{4}sqrt\u{94}h\0h\u{1}\u{93}",
    ])
    func `a name is told where we refuse what CPython may read, and in each pickle that follows`(start: String) {
        let bytes = start.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } + Array(")R.".utf8)
        let audit = PickleAudit(of: bytes)
        #expect(audit.imports.map(\.description).contains("os.system"), "\(audit.imports)")
        #expect(audit.calls.contains { $0.name?.description == "os.system" }, "\(audit.calls)")
        #expect(!audit.isPlainData)
    }

    @Test func `plain pickles that follow each other are plain data, the line end after them as well`() {
        let audit = PickleAudit(of: Array("N.K\u{1}.}.\n".utf8))
        #expect(audit.isPlainData && audit.pickleCount == 3 && audit.isFirstOnly)
        let second = PickleAudit(of: Array("N.cos\nsystem\n.".utf8))
        #expect(second.pickleCount == 2 && !second.isFirstOnly && second.isComplete && !second.isPlainData)
        let junk = PickleAudit(of: Array("N.junk".utf8))
        #expect(junk.error?.byteOffset == 2 && !junk.isPlainData)
    }

    @Test func `of a pickle that is cut nothing more can be said, of one that is refused something may be missing`() {
        let cut = PickleAudit(of: Array("cos\nsystem\n(S'id'\ntR".utf8))
        #expect(cut.isComplete && cut.error?.cause == .truncated)
        // CPython continues after the frame if it reads from a file.
        let framed = PickleAudit(
            of: Array("\u{95}\u{6}\0\0\0\0\0\0\0N.N.cAcos\nsystem\n.".unicodeScalars.map { UInt8($0.value) }))
        #expect(!framed.isComplete)
        // Only the call in between would determine the name.
        let computed = PickleAudit(of: Array("cos\ngetpid\n)RVsystem\n\u{93}".unicodeScalars.map { UInt8($0.value) }))
        #expect(!computed.isComplete && !computed.isPlainData)
    }

    @Test func `deeply nested data is plain data`() {
        let audit = PickleAudit(of: Array(repeating: 0x5d, count: 5000) + Array(repeating: 0x61, count: 4999) + [0x2e])
        #expect(audit.isPlainData)
    }

    @Test func `every name that a loader of CPython asks for is told, or the audit can't vouch`() throws {
        guard let python = PickleEncodeFixtureTests.python else { return }
        var pickles = ""
        for file in ["pickle-valid.jsonl", "pickle-invalid.jsonl"] {
            for record in try Fixtures.records(file) {
                if let text = record.string("pickle_b64") { pickles += text + "\n" }
            }
        }
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("pickles-\(UUID()).txt")
        try pickles.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let environment = ProcessInfo.processInfo.environment
        let runs = environment["WS_EMIT_FUZZ_RUNS"] ?? "3000"
        let seed = environment["WS_EMIT_FUZZ_SEED"] ?? "1"
        let (status, output) = try PickleEncodeFixtureTests.run(python, [Self.script, file.path, runs, seed])
        #expect(status == 0, "\(output.suffix(500))")
        var (checked, named, vouched) = (0, 0, 0)
        for line in output.split(separator: "\n") {
            let fields = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [Any])
            let text = try #require(fields[0] as? String)
            let names = try #require(fields[1] as? [[String]])
            let asksForPersistent = try #require(fields[2] as? Bool)
            let audit = PickleAudit(of: FixtureRecord.bytes(text))
            checked += 1
            if !names.isEmpty { named += 1 }
            if audit.isComplete { vouched += 1 }
            let told = Set(audit.imports)
            let missing = names.filter { !told.contains(PickleName(module: $0[0], name: $0[1])) }
            #expect(missing.isEmpty || !audit.isComplete, "\(text): \(missing) are not among \(audit.imports)")
            #expect(!asksForPersistent || audit.hasPersistentIDs || !audit.isComplete, "\(text): persistent ids")
            #expect(names.isEmpty && !asksForPersistent || !audit.isPlainData, "\(text): plain data")
        }
        print("audits: \(checked) damaged pickles, \(named) ask CPython for a name, \(vouched) vouched for")
        #expect(!Fixtures.isOurs || named * 8 > checked && vouched * 3 > checked)
    }

    private static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/loaded_names.py").path
}
