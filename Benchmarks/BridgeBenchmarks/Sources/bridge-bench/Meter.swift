import CAllocationCounter
import Glibc

/// CPU time and allocations of one operation on the calling thread, and CPU time of a fixed piece of work beside it.
///
/// The fixed work goes slower where and when the machine does, so that the two figures' ratio can be compared with one
/// from another day. Best of 25 batches of about 4 ms each, the two in turn.
struct Meter {
    /// Set to run one operation so many times and nothing else, for a profiler.
    let only: (name: String, count: Int)?

    init(arguments: [String]) {
        only = arguments.count == 3 ? Int(arguments[2]).map { (arguments[1], $0) } : nil
    }

    /// Whether any operation whose name begins like this is to be measured, and needs what it works on.
    func includes(_ prefixes: String...) -> Bool {
        only.map { only in prefixes.contains { only.name.hasPrefix($0) } } ?? true
    }

    /// - Parameter units: into how many equal parts the operation's cost is divided: deliveries, members.
    func measure(_ name: String, units: Int = 1, _ body: () -> Void) {
        if let only {
            guard only.name == name else { return }
            for _ in 0..<20 { body() }
            return Self.repeatForProfiler(only.count, body)
        }
        // Tables and buffers grow to their size.
        for _ in 0..<20 { body() }
        let start = Self.nanoseconds()
        for _ in 0..<20 { body() }
        let count = max(1, min(100_000, 4_000_000 * 20 / max(1, Self.nanoseconds() - start)))
        var (best, bestOfReference) = (Int.max, Int.max)
        for _ in 0..<25 {
            bestOfReference = min(bestOfReference, Self.time(200, Self.reference))
            best = min(best, Self.time(count, body))
        }
        let before = allocation_count()
        for _ in 0..<1000 { body() }
        let allocations = Double(allocation_count() - before) / 1000
        let parts = Double(units)
        let nanoseconds = Double(best) / Double(count) / parts
        let ofReference = Double(bestOfReference) / 200
        print("\(name)\t\(units)\t\(nanoseconds)\t\(nanoseconds / ofReference)\t\(allocations / parts)")
    }

    /// What callgrind collects, by this name.
    @inline(never) private static func repeatForProfiler(_ count: Int, _ body: () -> Void) {
        for _ in 0..<count { body() }
    }

    private static func time(_ count: Int, _ body: () -> Void) -> Int {
        let start = nanoseconds()
        for _ in 0..<count { body() }
        return nanoseconds() - start
    }

    nonisolated(unsafe) private static var referenceSum: UInt64 = 0
    private static let referenceBytes = [UInt8](repeating: 7, count: 4096)

    /// FNV-1a over 4 KiB.
    @inline(never) private static func reference() {
        var sum: UInt64 = 0xcbf2_9ce4_8422_2325 ^ referenceSum
        referenceBytes.withUnsafeBytes { for byte in $0 { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 } }
        referenceSum = sum
    }

    private static func nanoseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}
