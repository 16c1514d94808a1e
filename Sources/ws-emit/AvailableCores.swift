import Glibc
import NIOCore

/// The cores that this process may use; `taskset` or a container may allow fewer than the machine has.
enum AvailableCores {
    /// NIO knows the machine's cores and a cgroup's quota, but not the affinity mask.
    static var count: Int { max(1, min(System.coreCount, allowedByAffinity() ?? .max)) }

    /// The bits of `Cpus_allowed` in `/proc/self/status` (proc(5)); nil without that file.
    private static func allowedByAffinity() -> Int? {
        let descriptor = unsafe open("/proc/self/status", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        let lines = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("Cpus_allowed:") }) else { return nil }
        let bits = line.dropFirst("Cpus_allowed:".count).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
        return bits > 0 ? bits : nil
    }
}
