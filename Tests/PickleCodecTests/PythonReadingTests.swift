import Foundation
import Testing

@testable import PickleCodec

/// Unusual spellings in small pickles, read as CPython's C loader reads them.
@Suite struct PythonReadingTests {
    private static let numbers: [String] = {
        var lines = [
            "I+1", "I 1", "I1 ", "I08", "I010", "I00", "I01", "I02", "I001", "I-0", "I-1", "I+0", "I0x1",
            "I0X1f", "I0b1", "I0o17", "I1_0",
            "I+01", "I+123", "I-", "I99999999999999999999", "I+99999999999999999999", "I1_0_0",
            "I 99999999999999999999 ", "I-00",
            "I\t7", "I\u{b}7", "I7\r", "I7\0", "I7\u{0}8", "I07", "I-08", "I0_7", "I-01",
            "I000000000000000000000000000007", "I--1",
            "I0777777777777777777777", "I01777777777777777777777", "I0x", "I0x_f", "I0x1_f", "I1__0", "I_1",
            "I1_", "I0_0", "I 0", "I 1 ",
            "I-0x10", "I+0x7fffffffffffffffffffffff", "I0b" + String(repeating: "1", count: 70), "I1L", "I1.0",
            "Inan", "I+ 1", "I010 ",
            "L+1", "L1_0", "L 1", "L1 ", "L08", "L010", "L0x1", "L+1L", "L1 L", "L1LL", "L-1L", "LL", "L-",
            "L08L", "L\t1L", "L0L", "L00L",
            "L00", "L01", "L1_L", "L+99999999999999999999L", "L0b1L", "L1\0L", "L-0", "L-0x8000000000000000",
            "L0o7777777777777777777777777",
            "F+1.5E+3", "FInf", "F+Inf", "F-Inf", "FNaN", "F+NaN", "F-NaN", "Finfinity", "FINFINITY",
            "F-Infinity", "F1_000", "F 1.5",
            "F1.5 ", "F.5", "F5.", "F.", "F1e", "F1e5", "F1e400", "F-1e400", "F1e-400", "F0x1p3", "F1.5\r",
            "F1.5\0", "F1.5\u{0}9",
            "Fnan(1)", "F-0", "F+.5e-3", "F1E5", "F1,5", "F--1", "F1e+", "F+", "F-", "F\t1", "F1d5", "FiNf",
            "F1.7976931348623159e308",
            "F1.7976931348623158e308", "F1L", "F4.9e-324", "F2e-324", "F1e-05", "F1e+06", "F1.23457e+08", "F+5",
            "Finf ", "Finfi", "Fna",
        ]
        // The output of `%g`, `%e` and the like, and digits with separators between them.
        var random = SplitMix(state: 7)
        for _ in 0..<600 {
            let alphabet = Array("0011789+-_ xobeE.fL")
            let length = 1 + Int(random.next() % 5)
            lines.append(
                ["I", "L", "F"][Int(random.next() % 3)]
                    + String((0..<length).map { _ in alphabet[Int(random.next() % UInt64(alphabet.count))] }))
        }
        return lines
    }()

    @Test func `numbers are what CPython reads`() throws {
        try Self.compare(Self.numbers.map { Array(($0 + "\n.").utf8) })
        // As an index of the memo: one beyond 63 bits is an error only for the C loader.
        try Self.compare(
            Self.numbers.filter { $0.count < 20 }.map { line in
                Array("K\u{7}p\(line.dropFirst())\n0g\(line.dropFirst())\n.".utf8)
            })
    }

    @Test func `a frame may end before the argument of its last opcode, not within it`() throws {
        var pickles: [[UInt8]] = []
        let bodies = [
            "K\u{1}.", "\u{8c}\u{2}ab.", "X\u{2}\0\0\0ab.", "G\0\0\0\0\0\0\0\0.", "I12\n.", "(K\u{1}K\u{2}t.",
            "\u{8a}\u{1}\u{1}.", "p7\n.",
        ]
        for body in bodies {
            let bytes = body.unicodeScalars.map { UInt8($0.value) }
            for length in 0...bytes.count {
                pickles.append([0x80, 4, 0x95, UInt8(length), 0, 0, 0, 0, 0, 0, 0] + bytes)
            }
        }
        // The C loader reads across a frame's end differently from bytes and from a file: those pickles stay errors.
        try Self.compare(pickles, whereLoadersAgree: true)
    }

    /// Compares our value of each pickle with CPython's.
    private static func compare(_ pickles: [[UInt8]], whereLoadersAgree: Bool = false) throws {
        guard let python = PickleEncodeFixtureTests.python else { return }
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("pickles-\(UUID()).txt")
        try pickles.map { Data($0).base64EncodedString() }.joined(separator: "\n").write(
            to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let program = """
            import base64, io, pickle, sys
            def value(load):
                try: value = load()
                except Exception: return "refused"
                return "nan" if value != value else repr(value)
            for line in open(sys.argv[1]):
                data = base64.b64decode(line)
                values = [value(lambda: pickle.loads(data)), value(lambda: pickle.load(io.BytesIO(data)))]
                if len(sys.argv) > 2: values.append(value(lambda: pickle._loads(data)))
                print(values[0] if len(set(values)) == 1 else "refused")
            """
        let (status, output) = try PickleEncodeFixtureTests.run(
            python, ["-c", program, file.path] + (whereLoadersAgree ? ["all"] : []))
        #expect(status == 0, "\(output.suffix(500))")
        let answers = output.split(separator: "\n").map(String.init)
        try #require(answers.count == pickles.count)
        for (pickle, answer) in zip(pickles, answers) {
            var ours = "refused"
            if let value = try? PickleValue(decoding: pickle) { ours = "\(value)".replacing("\"", with: "'") }
            #expect(ours == answer, "\(String(decoding: pickle, as: UTF8.self).debugDescription)")
        }
        print("as CPython reads: \(pickles.count) pickles, \(answers.filter { $0 == "refused" }.count) refused")
    }

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    // MARK: Names

    @Test func `names are translated as CPython's tables have it, and only where CPython does`() throws {
        guard let python = PickleEncodeFixtureTests.python else { return }
        let program = """
            import _compat_pickle as c
            for (m, n) in list(c.NAME_MAPPING) + [(m, "x") for m in c.IMPORT_MAPPING] + [("os", "system"), ("exceptions", "X")]:
                print(3, m, n, *c.NAME_MAPPING.get((m, n), (c.IMPORT_MAPPING.get(m, m), n)))
            for (m, n) in list(c.REVERSE_NAME_MAPPING) + [(m, "x") for m in c.REVERSE_IMPORT_MAPPING] + [("os", "system")]:
                print(2, m, n, *c.REVERSE_NAME_MAPPING.get((m, n), (c.REVERSE_IMPORT_MAPPING.get(m, m), n)))
            """
        let (status, output) = try PickleEncodeFixtureTests.run(python, ["-c", program])
        #expect(status == 0, "\(output.suffix(500))")
        var count = 0
        for line in output.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            try #require(words.count == 5, "\(line)")
            count += 1
            let version = words[0] == "3" ? 3 : 2
            let name = PickleName(module: words[1], name: words[2])
            let other = PickleName(module: words[3], name: words[4])
            #expect((name.translated(to: version) ?? name) == other, "\(name) to \(version)")
            // Read at a protocol of the other Python and written at this one; then read and written at the same kind,
            // which changes nothing.
            let source = Array("c\(name.module)\n\(name.name)\n.".utf8)
            let python3 = [0x80, 3] + source
            for protocolVersion in version == 3 ? [3, 4, 5] : [0, 1, 2] {
                let pickle = version == 3 ? source : python3
                for again in [
                    try PickleGraph(decoding: pickle).encoded(protocolVersion: protocolVersion),
                    try PickleValue(decoding: pickle).encoded(protocolVersion: protocolVersion),
                    try PickleValue.global(name).encoded(protocolVersion: protocolVersion),
                ] { #expect(try PickleValue(decoding: again) == .global(other), "\(name) at \(protocolVersion)") }
                let same = version == 3 ? python3 : source
                let kept = try PickleGraph(decoding: same).encoded(protocolVersion: protocolVersion)
                #expect(try PickleValue(decoding: kept) == .global(name), "\(name) at \(protocolVersion)")
            }
        }
        print("names: \(count) translated as CPython does")
        #expect(count > 200)
    }

    @Test func `what Python 2 wrote is loaded by Python 3 at every protocol`() throws {
        guard let python = PickleEncodeFixtureTests.python else { return }
        let pickles = [
            "cexceptions\nValueError\n(S'no'\ntR.", "(i__builtin__\nobject\n.",
            "c__builtin__\nxrange\n(I3\ntR.",
            "ccopy_reg\n_reconstructor\n(c__builtin__\nlist\nc__builtin__\nlist\n(I1\nltR.",
            "cUserDict\nUserDict\n(tR.", "c__builtin__\nset\n((lI1\natR.", "cQueue\nEmpty\n.",
            "((c__builtin__\nunicode\nc__builtin__\nlong\nt.",
        ]
        var written: [String] = []
        for text in pickles {
            for version in 0...5 {
                written.append(
                    Data(try PickleGraph(decoding: Array(text.utf8)).encoded(protocolVersion: version))
                        .base64EncodedString())
            }
        }
        let program = "import pickle, base64, sys; [pickle.loads(base64.b64decode(p)) for p in sys.argv[1:]]"
        let (status, output) = try PickleEncodeFixtureTests.run(python, ["-c", program] + written)
        #expect(status == 0, "\(output.suffix(500))")
    }
}
