import Bytes
import Foundation
import Testing

@testable import PickleCodec

/// The captured corpora: real pickles of every interpreter and protocol, and malformed ones.
@Suite struct PickleCodecTests {
    @Test func `every valid pickle decodes to the value it holds`() throws {
        var document = PickleDocument()
        var checked = 0
        var failures: [String] = []
        for record in try Fixtures.records("pickle-valid.jsonl") {
            checked += 1
            if let failure = Self.check(record, &document) { failures.append("\(record.id): \(failure)") }
        }
        print("pickle-valid.jsonl: \(checked) records checked, 0 set aside, \(failures.count) failed")
        #expect(failures.isEmpty, "\(failures.prefix(40).joined(separator: "\n"))")
    }

    private static func check(_ record: FixtureRecord, _ document: inout PickleDocument) -> String? {
        let pickle = record.pickle
        return pickle.withUnsafeBytes { bytes -> String? in
            do {
                try parse(bytes, record, &document)
            } catch {
                return "\(error)"
            }
            if document.consumedBytes != record.int("consumed") ?? bytes.count {
                return "consumed \(document.consumedBytes)"
            }
            guard let expected = record.fields["expected"] as? [String: Any] else { return "no expectation" }
            var comparison = TagComparison()
            return comparison.difference(expected, document.root, in: document)
        }
    }

    static func parse(
        _ bytes: UnsafeRawBufferPointer, _ record: FixtureRecord, _ document: inout PickleDocument
    ) throws(PickleError) {
        let joined = record.buffers
        let storage = joined.flatMap { $0 }
        var registry = PickleExtensionRegistry()
        for entry in record.extensions { registry.names[entry.code] = .init(module: entry.module, name: entry.name) }
        var failure: PickleError?
        storage.withUnsafeBytes { all in
            var start = 0
            let buffers = joined.map { buffer in
                defer { start += buffer.count }
                return UnsafeRawBufferPointer(rebasing: all[start..<(start + buffer.count)])
            }
            do throws(PickleError) {
                try document.parse(bytes, buffers: buffers, extensions: registry)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    @Test func `every malformed pickle fails at its place, and every hostile one stays inert and bounded`() throws {
        var document = PickleDocument()
        var counts: [String: Int] = [:]
        var failures: [String] = []
        for record in try Fixtures.records("pickle-invalid.jsonl") {
            let expectation = record.string("expect") ?? "?"
            counts[expectation, default: 0] += 1
            let start = ThreadTime.now
            let failure = Self.checkInvalid(record, expectation, &document)
            if let failure { failures.append("\(record.id): \(failure)") }
            let elapsed = ThreadTime.now - start
            if elapsed > ThreadTime.bound { failures.append("\(record.id): took \(elapsed) s") }
        }
        print(
            "pickle-invalid.jsonl: \(counts.values.reduce(0, +)) records checked \(counts), 0 set aside, "
                + "\(failures.count) failed")
        #expect(failures.isEmpty, "\(failures.prefix(40).joined(separator: "\n"))")
    }

    private static func checkInvalid(
        _ record: FixtureRecord, _ expectation: String, _ document: inout PickleDocument
    ) -> String? {
        let pickle = record.pickle
        return pickle.withUnsafeBytes { bytes -> String? in
            do throws(PickleError) {
                try parse(bytes, record, &document)
            } catch {
                if error.description.isEmpty { return "no description" }
                switch expectation {
                case "error":
                    let offset = record.int("error_offset")
                    return offset == nil || offset == error.byteOffset
                        ? nil : "offset \(error.byteOffset) instead of \(offset ?? -1): \(error)"
                case "opaque": return "\(error)"
                default: return nil
                }
            }
            if expectation == "error" { return "decoded to \(document.kind(of: document.root))" }
            var writer = JSONWriter()
            var attachments: [PickleDocument.Node] = []
            try? document.writeJSON(document.root, to: &writer, attachments: &attachments)
            return writer.count <= 20 << 20 ? nil : "\(writer.count) bytes of JSON"
        }
    }
}

/// CPU time of the calling thread: the cost of a hostile pickle, however busy the machine is.
enum ThreadTime {
    /// Seconds.
    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The intended bound is one second in a release build; a debug build is about 30 times slower.
    static var bound: Double {
        #if DEBUG
            60
        #else
            1
        #endif
    }
}
