import Glibc
import NIOCore

/// The time of day, for people and other machines; deadlines use the monotonic clock.
package enum WallClock {
    /// Milliseconds since 1970, UTC, of a time on the monotonic clock.
    package static func milliseconds(_ deadline: NIODeadline = .now()) -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let now = Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
        return now - (NIODeadline.now() - deadline).nanoseconds / 1_000_000
    }
}
