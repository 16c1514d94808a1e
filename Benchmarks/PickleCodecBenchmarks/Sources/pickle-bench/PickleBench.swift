import Bytes
import EmitFastLane
import Glibc
import JSONCodec
import PickleCodec
import PubSubMessages

/// Measures the codec on the pickles named on the command line: one line `file operation nanoseconds` each.
///
/// Thread CPU time, best of 25 batches of about 10 ms. `compare.py` runs it and CPython side by side. The environment
/// variable OPERATION limits it to one operation and RUNS sets how often that is done, for a profiler.
@main
struct PickleBench {
    static func main() throws {
        for path in CommandLine.arguments.dropFirst() {
            let bytes = try read(path)
            try bytes.withUnsafeBytes { try measure(path, bytes, $0) }
        }
    }

    private static func measure(_ path: String, _ bytes: [UInt8], _ raw: UnsafeRawBufferPointer) throws {
        var document = PickleDocument()
        var writer = JSONWriter()
        var attachments: [PickleDocument.Node] = []
        report(path, "tape") { try? document.parse(raw) }
        var fastLane = EmitFastLane(pickleLimits: PickleLimits(), jsonLimits: JSONLimits())
        if fastLane.locate(raw) != nil {
            report(path, "fields") { keep(UInt32(truncatingIfNeeded: fastLane.locate(raw)?.namespace.count ?? 0)) }
            let decoder = PubSubMessageDecoder(hostID: "another")
            report(path, "route") { keep((try? decoder.decode(raw)) == nil ? 1 : 0) }
        }
        report(path, "json") {
            try? document.parse(raw)
            writer.removeAll()
            attachments.removeAll(keepingCapacity: true)
            try? document.writeJSON(document.root, to: &writer, attachments: &attachments)
        }
        report(path, "value") { keep((try? PickleValue(decoding: bytes)) == nil ? 1 : 0) }
        report(path, "graph") { keep((try? PickleGraph(decoding: bytes)) == nil ? 1 : 0) }
        let value = try PickleValue(decoding: bytes)
        report(path, "encode") { keep(UInt32((try? value.encoded().count) ?? 0)) }
    }

    nonisolated(unsafe) private static var sink: UInt32 = 0

    /// Keeps the compiler from leaving work out.
    @inline(never) private static func keep(_ value: UInt32) { sink = sink &+ value }

    private static func report(_ path: String, _ operation: String, _ body: () -> Void) {
        if let only = getenv("OPERATION"), String(cString: only) != operation { return }
        let warmUp = nanoseconds()
        body()
        let once = max(nanoseconds() - warmUp, 100)
        let runs = getenv("RUNS").flatMap { UInt64(String(cString: $0)) }
        let count = runs ?? max(1, min(100_000, 10_000_000 / once))
        var best = UInt64.max
        for _ in 0..<(runs == nil ? 25 : 1) {
            let start = nanoseconds()
            for _ in 0..<count { body() }
            best = min(best, (nanoseconds() - start) / count)
        }
        print(path, operation, best)
    }

    private static func nanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func read(_ path: String) throws -> [UInt8] {
        guard let file = fopen(path, "rb") else { throw ReadFailure(path: path) }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
    }

    private struct ReadFailure: Error {
        let path: String
    }
}
