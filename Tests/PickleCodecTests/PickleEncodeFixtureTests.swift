import Foundation
import Testing

@testable import PickleCodec

/// Our pickles, read by CPython and compared with CPython's own.
@Suite struct PickleEncodeFixtureTests {
    @Test func `every encode case is loaded by CPython as the value it is`() throws {
        guard let python = Self.python else {
            print("pickle-encode.jsonl: set aside, there is no python3 on the PATH")
            return
        }
        let cases = Fixtures.folder.appendingPathComponent("pickle-encode.jsonl")
        var answers = ""
        var failures: [String] = []
        for record in try Fixtures.records("pickle-encode.jsonl") {
            guard let tag = record.fields["value"] as? [String: Any] else { continue }
            for version in record.fields["protocols"] as? [Int] ?? [] {
                do {
                    let pickle = try TagBuilder().finish(tag).encoded(protocolVersion: version)
                    let base64 = Data(pickle).base64EncodedString()
                    answers += #"{"id": "\#(record.id)", "protocol": \#(version), "pickle_b64": "\#(base64)"}"# + "\n"
                } catch {
                    failures.append("\(record.id) protocol \(version): \(error)")
                }
            }
        }
        #expect(failures.isEmpty, "\(failures.prefix(20))")
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("pickle-answers-\(UUID()).jsonl")
        try answers.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let (status, output) = try Self.run(python, [Self.script, cases.path, file.path])
        print("pickle-encode.jsonl: \(output.split(separator: "\n").last ?? "no output")")
        #expect(status == 0, "\(output)")
    }

    @Test func `what CPython wrote is written back byte for byte at protocols 2 to 5`() throws {
        var checked = 0
        var differing: [String] = []
        for record in try Fixtures.records("pickle-valid.jsonl") {
            guard let version = record.int("protocol"), 2...5 ~= version, record.fields["buffers"] == nil,
                record.string("producer")?.hasPrefix("cpython3.1") == true,
                ["edge", "socketio", "hypothesis", "random"].contains(record.category)
            else { continue }
            let pickle = record.pickle
            let again = try PickleGraph(decoding: pickle).encoded(protocolVersion: version)
            checked += 1
            guard again != pickle else { continue }
            differing.append(record.id)
            // Pickles of different length differ in the memo; the value is the same in any case.
            #expect(try PickleGraph(decoding: again).encoded(protocolVersion: version) == again, "\(record.id)")
        }
        print("byte for byte: \(checked) checked, \(differing.count) differ: \(differing.prefix(20))")
        // A few pickles have two objects for equal short str, for which CPython nearly always has one.
        #expect(!Fixtures.isOurs || differing.count * 200 <= checked, "\(differing)")
    }

    @Test func `batches and frames are cut where CPython cuts them`() throws {
        guard let python = Self.python else { return }
        let program = """
            import base64, pickle
            sizes = [0, 1, 2, 999, 1000, 1001, 1002, 2000, 2001]
            values = [list(range(n)) for n in sizes] + [{i: i for i in range(n)} for n in sizes]
            values += [tuple(range(n)) for n in range(6)] + [set(range(n)) for n in sizes]
            values += [[str(i) * 1000 for i in range(300)], ["x" * n for n in (65535, 65536, 70000)]]
            values += [[b"x" * n for n in (255, 256, 65535, 65536)], [bytearray(b"y" * 70000), bytearray()]]
            values += [[[], {}, ()], [1 << n for n in range(0, 2100, 7)], [-(1 << n) for n in range(0, 2100, 7)]]
            values += [[float(n) / 7 for n in range(100)], [True, False, None], {"k": {"k": ["k"] * 1500}}]
            for value in values:
                for protocol in range(2, 6):
                    print(protocol, base64.b64encode(pickle.dumps(value, protocol)).decode())
            """
        let (status, output) = try Self.run(python, ["-c", program])
        #expect(status == 0, "\(output.prefix(500))")
        var checked = 0
        for line in output.split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count == 2, let version = Int(parts[0]) else { continue }
            let pickle = FixtureRecord.bytes(String(parts[1]))
            let graph = try PickleGraph(decoding: pickle)
            #expect(
                try graph.encoded(protocolVersion: version) == pickle, "protocol \(version): \(parts[1].prefix(100))")
            checked += 1
        }
        print("batches and frames: \(checked) pickles written as CPython writes them")
        #expect(checked > 150)
    }

    static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/check_pickle_encode.py").path

    static var python: String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").map { "\($0)/python3" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    static func run(_ program: String, _ arguments: [String]) throws -> (Int32, String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
