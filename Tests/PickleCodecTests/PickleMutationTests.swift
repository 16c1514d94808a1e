import Bytes
import Foundation
import Testing

@testable import PickleCodec

/// Damaged pickles: every truncation, and random mutations. `WS_EMIT_FUZZ_RUNS` sets how many of the latter.
@Suite struct PickleMutationTests {
    @Test func `a pickle cut before its STOP is refused`() throws {
        var document = PickleDocument()
        var cuts = 0
        for record in try Fixtures.records("pickle-valid.jsonl") {
            let pickle = record.pickle
            let end = record.int("consumed") ?? pickle.count
            // Every cut of short ones, some of long ones: parsing each prefix takes quadratic time.
            for length in stride(from: 0, to: end, by: max(1, end / 100)) {
                cuts += 1
                let isRefused = pickle.withUnsafeBytes { bytes in
                    (try? PickleCodecTests.parse(
                        UnsafeRawBufferPointer(rebasing: bytes[..<length]), record, &document)) == nil
                }
                if !isRefused { Issue.record("\(record.id) cut at \(length)") }
            }
        }
        print("truncation: \(cuts) prefixes refused")
    }

    @Test func `a damaged pickle is a value or an error, and what is a value can be written again`() throws {
        let runs = ProcessInfo.processInfo.environment["WS_EMIT_FUZZ_RUNS"].flatMap { Int($0) } ?? 5_000
        let seed = ProcessInfo.processInfo.environment["WS_EMIT_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
        var generator = SplitMix64(state: seed)
        let corpus = try (Fixtures.records("pickle-valid.jsonl") + Fixtures.records("pickle-invalid.jsonl"))
            .filter { $0.string("pickle_b64") != nil }.map(\.pickle).filter { 1..<2000 ~= $0.count }
        guard !corpus.isEmpty else { return }
        var values = 0
        for run in 0..<runs {
            let pickle = Self.mutated(corpus, &generator)
            if let failure = Self.exercise(pickle, &values) {
                Issue.record("run \(run) of seed \(seed): \(failure): \(Data(pickle).base64EncodedString())")
            }
        }
        print("mutation: \(runs) runs from seed \(seed), \(values) were still pickles")
        #expect(!Fixtures.isOurs || values > 0)
    }

    /// Changes bytes, cuts, repeats and splices.
    static func mutated(_ corpus: [[UInt8]], _ generator: inout SplitMix64) -> [UInt8] {
        var pickle = corpus[Int.random(in: 0..<corpus.count, using: &generator)]
        for _ in 0..<Int.random(in: 1...4, using: &generator) where !pickle.isEmpty {
            let at = Int.random(in: 0..<pickle.count, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: pickle[at] = UInt8.random(in: 0...255, using: &generator)
            case 1: pickle[at] = PickleOpcode.allCases.randomElement(using: &generator)?.rawValue ?? 0
            case 2: pickle.remove(at: at)
            case 3: pickle.insert(PickleOpcode.allCases.randomElement(using: &generator)?.rawValue ?? 0, at: at)
            case 4:
                let end = min(pickle.count, at + Int.random(in: 1...16, using: &generator))
                pickle.insert(contentsOf: pickle[at..<end], at: Int.random(in: 0...pickle.count, using: &generator))
            default:
                let other = corpus[Int.random(in: 0..<corpus.count, using: &generator)]
                let from = Int.random(in: 0..<other.count, using: &generator)
                pickle.replaceSubrange(at..., with: other[from...])
            }
        }
        return pickle
    }

    /// Runs every reader on some bytes; returns a description of the first failure.
    private static func exercise(_ pickle: [UInt8], _ values: inout Int) -> String? {
        _ = PickleDisassembler().disassemble(pickle)
        _ = PickleAudit(of: pickle)
        guard let graph = try? PickleGraph(decoding: pickle) else { return nil }
        values += 1
        _ = HostilePickleTests.jsonCause(pickle, limit: 1 << 16)
        for version in 0...5 {
            guard let written = try? graph.encoded(protocolVersion: version) else { continue }
            guard let again = try? PickleGraph(decoding: written) else { return "protocol \(version) cannot be read" }
            guard again.kind(of: again.root) == graph.kind(of: graph.root) else { return "protocol \(version) differs" }
            if version == 4, (try? again.encoded(protocolVersion: 4)) != written { return "written differently again" }
        }
        if let value = try? PickleValue(decoding: pickle) {
            if value != value || value.hashValue != value.hashValue { return "not equal to itself" }
            _ = value.description
            _ = (value.dateTime, value.date, value.time, value.timeDelta, value.decimal, value.uuid, value.complex)
            _ = (value.fraction, value.mapping, value.deque, value.namedTuple, value.enumMember, value.zoneInfoKey)
        }
        return nil
    }
}

/// A small generator with a seed, so that a failure can be repeated.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
