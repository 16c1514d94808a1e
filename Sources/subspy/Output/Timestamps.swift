import ArgumentParser
import Glibc
import JSONCodec

/// When messages were received: Redis doesn't tell when they were published.
///
/// | form | written | in JSON |
/// |---|---|---|
/// | `iso` | `2021-12-10T23:06:10.123456Z` | the same, a text |
/// | `epoch` | `1639177570.123456` | a number |
/// | `relative` | `12.345678`: seconds since the start | a number |
/// | `delta` | `+0.001234`: seconds since the message before | a number |
/// | clock | `23:06:10.123` in local time, for people | - |
struct Timestamps {
    /// The forms of `--timestamps`.
    enum Form: String, CaseIterable, ExpressibleByArgument { case iso, epoch, relative, delta }

    private let form: Form?
    private let origin: Int64
    private var previous: Int64
    /// Microseconds of the message in hand.
    private var wallClock: Int64 = 0
    private var monotonic: Int64

    /// - Parameter form: nil for local time of day.
    init(_ form: Form?) {
        self.form = form
        origin = Self.now(CLOCK_MONOTONIC)
        previous = origin
        monotonic = origin
    }

    /// Notes that a message has come.
    mutating func advance() {
        previous = monotonic
        monotonic = Self.now(CLOCK_MONOTONIC)
        wallClock = Self.now(CLOCK_REALTIME)
    }

    /// Appends the time of the last `advance`.
    func append(to writer: inout JSONWriter) {
        switch form {
        case .iso: appendDate(to: &writer)
        case .epoch: appendSeconds(wallClock, to: &writer)
        case .relative: appendSeconds(monotonic - origin, to: &writer)
        case .delta:
            writer.append(UInt8(ascii: "+"))
            appendSeconds(monotonic - previous, to: &writer)
        case nil: appendTimeOfDay(to: &writer)
        }
    }

    /// Appends the time as a JSON value.
    func appendJSON(to writer: inout JSONWriter) {
        switch form {
        case .epoch, .relative: append(to: &writer)
        case .delta: appendSeconds(monotonic - previous, to: &writer)
        case .iso, nil:
            writer.append("\"")
            appendDate(to: &writer)
            writer.append("\"")
        }
    }

    /// Columns that a time takes in a table; longer ones push the rest to the right.
    var columns: Int {
        switch form {
        case .iso: 27
        case .epoch: 17
        case .relative, .delta, nil: 12
        }
    }

    private func appendSeconds(_ microseconds: Int64, to writer: inout JSONWriter) {
        writer.appendInteger(microseconds / 1_000_000)
        writer.append(UInt8(ascii: "."))
        append(Int(microseconds % 1_000_000), digits: 6, to: &writer)
    }

    private func appendDate(to writer: inout JSONWriter) {
        var seconds = time_t(wallClock / 1_000_000)
        var date = tm()
        gmtime_r(&seconds, &date)
        append(Int(date.tm_year) + 1900, digits: 4, to: &writer)
        writer.append("-")
        append(Int(date.tm_mon) + 1, digits: 2, to: &writer)
        writer.append("-")
        append(Int(date.tm_mday), digits: 2, to: &writer)
        writer.append("T")
        append(date, to: &writer)
        append(Int(wallClock % 1_000_000), digits: 6, to: &writer)
        writer.append("Z")
    }

    private func appendTimeOfDay(to writer: inout JSONWriter) {
        var seconds = time_t(wallClock / 1_000_000)
        var date = tm()
        localtime_r(&seconds, &date)
        append(date, to: &writer)
        append(Int(wallClock % 1_000_000 / 1000), digits: 3, to: &writer)
    }

    /// `23:06:10.`
    private func append(_ date: tm, to writer: inout JSONWriter) {
        append(Int(date.tm_hour), digits: 2, to: &writer)
        writer.append(":")
        append(Int(date.tm_min), digits: 2, to: &writer)
        writer.append(":")
        append(Int(date.tm_sec), digits: 2, to: &writer)
        writer.append(".")
    }

    private func append(_ number: Int, digits: Int, to writer: inout JSONWriter) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            writer.append(UInt8(0x30 + number / divisor % 10))
            divisor /= 10
        }
    }

    /// Microseconds of a clock.
    private static func now(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
