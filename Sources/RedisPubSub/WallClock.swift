import Glibc
import NIOCore

/// The time of day, for people and other machines. Deadlines use the monotonic clock.
package enum WallClock {
    /// Milliseconds since 1970, UTC, at present.
    package static func now() -> Int64 { nanoseconds / 1_000_000 }

    /// Milliseconds since 1970, UTC, of a time on the monotonic clock, rounded down.
    package static func milliseconds(_ deadline: NIODeadline) -> Int64 {
        // The time that passes between reading the two clocks makes the result earlier, as rounding does.
        let wall = nanoseconds
        return (wall - (NIODeadline.now() - deadline).nanoseconds) / 1_000_000
    }

    /// The same, rounded up, for the end of an interval.
    package static func millisecondsRoundedUp(_ deadline: NIODeadline = .now()) -> Int64 {
        let ago = (NIODeadline.now() - deadline).nanoseconds
        return (nanoseconds - ago + 999_999) / 1_000_000
    }

    private static var nanoseconds: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// `2026-11-28T14:29:25.123Z` (ISO 8601) of milliseconds since 1970.
    package static func text(_ milliseconds: Int64) -> String {
        var seconds = time_t(milliseconds / 1000)
        var date = unsafe tm()
        unsafe gmtime_r(&seconds, &date)
        let day = unsafe "\(date.tm_year + 1900)-\(padded(date.tm_mon + 1))-\(padded(date.tm_mday))"
        let time = unsafe "\(padded(date.tm_hour)):\(padded(date.tm_min)):\(padded(date.tm_sec))"
        return "\(day)T\(time).\(padded(CInt(milliseconds % 1000), 3))Z"
    }

    private static func padded(_ number: CInt, _ digits: Int = 2) -> String {
        let text = "\(number)"
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
