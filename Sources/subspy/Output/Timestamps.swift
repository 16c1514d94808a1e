import Bytes
import ArgumentParser
import Glibc
import JSONCodec

/// The formats of `--timestamps`.
enum TimeFormat: String, CaseIterable, ExpressibleByArgument { case iso, epoch, relative, delta }

/// The times at which messages were received; Redis doesn't tell when they were published.
///
/// | format | written | in JSON |
/// |---|---|---|
/// | `iso` | `2021-12-10T23:06:10.123456Z` | the same, a text |
/// | `epoch` | `1639177570.123456` | a number |
/// | `relative` | `12.345678`: seconds since the start | a number |
/// | `delta` | `+0.001234`: seconds since the message before | a number |
/// | clock | `23:06:10.123` in local time, for people | - |
struct Timestamps {
    private let format: TimeFormat?
    private let origin: Int64
    private var previous: Int64
    /// Microseconds of the message in hand.
    private var wallClock: Int64 = 0
    private var monotonic: Int64

    /// - Parameters:
    ///   - format: nil for local time of day.
    ///   - origin: the start, by the monotonic clock.
    init(_ format: TimeFormat?, origin: Int64 = SystemClock.monotonic) {
        self.format = format
        self.origin = origin
        previous = origin
        monotonic = origin
    }

    /// Notes that a message has come.
    mutating func advance(wallClock: Int64 = SystemClock.realtime, monotonic: Int64 = SystemClock.monotonic) {
        previous = self.monotonic
        self.monotonic = monotonic
        self.wallClock = wallClock
    }

    /// Appends the time of the last `advance`.
    func append(to writer: inout JSONWriter) {
        switch format {
        case .iso: writer.append(utc: wallClock)
        case .epoch: writer.append(seconds: wallClock)
        case .relative: writer.append(seconds: monotonic - origin)
        case .delta:
            writer.append(UInt8(ascii: "+"))
            writer.append(seconds: monotonic - previous)
        case nil: writer.append(localTimeOfDay: wallClock)
        }
    }

    /// Appends the time as a JSON value.
    func appendJSON(to writer: inout JSONWriter) {
        switch format {
        case .epoch, .relative: append(to: &writer)
        case .delta: writer.append(seconds: monotonic - previous)
        case .iso, nil:
            writer.append("\"")
            writer.append(utc: wallClock)
            writer.append("\"")
        }
    }

    /// Columns that a time takes in a table; longer ones push the rest to the right.
    var columns: Int {
        switch format {
        case .iso: 27
        case .epoch: 17
        case .relative, .delta, nil: 12
        }
    }
}

/// The system's clocks.
enum SystemClock {
    /// Microseconds since 1970.
    static var realtime: Int64 { microseconds(of: CLOCK_REALTIME) }

    /// Microseconds of the clock that is never set.
    static var monotonic: Int64 { microseconds(of: CLOCK_MONOTONIC) }

    private static func microseconds(of clock: clockid_t) -> Int64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
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
        unsafe append(microseconds, "%Y-%m-%dT%H:%M:%S.", gmtime_r)
        append(Int(microseconds % 1_000_000), digits: 6)
        append("Z")
    }

    /// Appends `23:06:10.123` in local time.
    mutating func append(localTimeOfDay microseconds: Int64) {
        unsafe append(microseconds, "%H:%M:%S.", localtime_r)
        append(Int(microseconds % 1_000_000 / 1000), digits: 3)
    }

    private mutating func append(
        _ microseconds: Int64, _ format: String,
        _ date: (UnsafePointer<time_t>, UnsafeMutablePointer<tm>) -> UnsafeMutablePointer<tm>?
    ) {
        var (seconds, parts) = unsafe (time_t(microseconds / 1_000_000), tm())
        _ = unsafe date(&seconds, &parts)
        var text = [CChar](repeating: 0, count: 32)
        let count = unsafe strftime(&text, text.count, format, &parts)
        unsafe text.withUnsafeBytes { unsafe append(raw: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
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
