import ArgumentParser
import Bytes

/// The formats of `--timestamps`.
enum TimeFormat: String, CaseIterable, ExpressibleByArgument { case iso, epoch, relative, delta }

/// When messages were received: Redis doesn't tell when they were published.
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
