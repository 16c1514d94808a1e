import Glibc
import NIOCore

/// The time of day, for people and other machines; deadlines use the monotonic clock.
package enum WallClock {
    /// Milliseconds since 1970, UTC, of a time on the monotonic clock: never later than that.
    package static func milliseconds(_ deadline: NIODeadline = .now()) -> Int64 {
        // Time that passes between the two clocks makes it earlier, as rounding does.
        let wall = nanoseconds
        return (wall - (NIODeadline.now() - deadline).nanoseconds) / 1_000_000
    }

    /// The same, never earlier than that: for the end of an interval.
    package static func millisecondsRoundedUp(_ deadline: NIODeadline = .now()) -> Int64 {
        let ago = (NIODeadline.now() - deadline).nanoseconds
        return (nanoseconds - ago + 999_999) / 1_000_000
    }

    private static var nanoseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
