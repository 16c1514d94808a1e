import Bytes
import Glibc

/// The system's clocks.
enum SystemClock {
    /// Microseconds since 1970.
    static var realtime: Int64 { microseconds(of: CLOCK_REALTIME) }

    /// Microseconds of the clock that is never set.
    static var monotonic: Int64 { microseconds(of: CLOCK_MONOTONIC) }

    private static func microseconds(of clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}

extension JSONWriter {
    /// Appends `12.345678`.
    mutating func append(seconds microseconds: Int64) {
        appendInteger(microseconds / 1_000_000)
        append(UInt8(ascii: "."))
        append(Int(microseconds % 1_000_000), digits: 6)
    }

    /// Appends `2026-11-23T21:30:00.123456Z`.
    ///
    /// - Parameter microseconds: since 1970.
    mutating func append(utc microseconds: Int64) {
        var seconds = time_t(microseconds / 1_000_000)
        var date = tm()
        gmtime_r(&seconds, &date)
        append(Int(date.tm_year) + 1900, digits: 4)
        append("-")
        append(Int(date.tm_mon) + 1, digits: 2)
        append("-")
        append(Int(date.tm_mday), digits: 2)
        append("T")
        append(timeOfDay: date)
        append(Int(microseconds % 1_000_000), digits: 6)
        append("Z")
    }

    /// Appends `23:06:10.123` in local time.
    mutating func append(localTimeOfDay microseconds: Int64) {
        var seconds = time_t(microseconds / 1_000_000)
        var date = tm()
        localtime_r(&seconds, &date)
        append(timeOfDay: date)
        append(Int(microseconds % 1_000_000 / 1000), digits: 3)
    }

    /// Appends `23:06:10.`
    private mutating func append(timeOfDay date: tm) {
        append(Int(date.tm_hour), digits: 2)
        append(":")
        append(Int(date.tm_min), digits: 2)
        append(":")
        append(Int(date.tm_sec), digits: 2)
        append(".")
    }

    private mutating func append(_ number: Int, digits: Int) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(0x30 + number / divisor % 10))
            divisor /= 10
        }
    }
}
