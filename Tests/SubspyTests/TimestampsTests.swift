import Bytes
import Glibc
import Testing

@testable import subspy

@Suite struct TimestampsTests {
    private func text(_ timestamps: Timestamps, asJSON: Bool = false) -> String {
        var writer = JSONWriter()
        if asJSON { timestamps.appendJSON(to: &writer) } else { timestamps.append(to: &writer) }
        return writer.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    /// A message 2.000001 s after the start, one 12.345678 s after it.
    private func timestamps(_ format: TimeFormat?) -> Timestamps {
        var timestamps = Timestamps(format, origin: 1_000_000)
        timestamps.advance(wallClock: 0, monotonic: 3_000_001)
        timestamps.advance(wallClock: 1_639_177_570_123_456, monotonic: 13_345_678)
        return timestamps
    }

    @Test(
        arguments: [
            (.iso, "2021-12-10T23:06:10.123456Z", "\"2021-12-10T23:06:10.123456Z\""),
            (.epoch, "1639177570.123456", "1639177570.123456"), (.relative, "12.345678", "12.345678"),
            (.delta, "+10.345677", "10.345677"),
        ] as [(TimeFormat, String, String)])
    func `each format has its text and its JSON value`(format: TimeFormat, shown: String, json: String) {
        #expect(text(timestamps(format)) == shown)
        #expect(text(timestamps(format), asJSON: true) == json)
        #expect(timestamps(format).columns >= shown.count)
    }

    @Test func `people see the local time of day, programs a date`() {
        let shown = text(timestamps(nil))
        #expect(shown.count == 12)
        #expect(shown.hasSuffix(":10.123"))
        #expect(text(timestamps(nil), asJSON: true) == "\"2021-12-10T23:06:10.123456Z\"")
    }

    @Test func `the first message's delta is counted from the start`() {
        var timestamps = Timestamps(.delta, origin: 5)
        timestamps.advance(wallClock: 0, monotonic: 1_000_006)
        #expect(text(timestamps) == "+1.000001")
    }

    @Test(arguments: [(0, "1970-01-01T00:00:00.000000Z"), (951_782_400_000_001, "2000-02-29T00:00:00.000001Z")])
    func `dates are UTC`(microseconds: Int64, date: String) {
        var writer = JSONWriter()
        writer.append(utc: microseconds)
        #expect(writer.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } == date)
    }

    @Test(
        arguments: [
            ("500ms", .milliseconds(500)), ("10s", .seconds(10)), ("2m", .seconds(120)), ("1h", .seconds(3600)),
            ("0.5", .milliseconds(500)), ("1.5h", .seconds(5400)),
        ] as [(String, Duration)])
    func `times have units`(text: String, time: Duration) throws { #expect(try TimeSpan.parse(text) == time) }

    @Test(arguments: ["", "s", "soon", "0", "-1s", "1e10", "101000d"])
    func `wrong times are refused`(text: String) { #expect(throws: (any Error).self) { try TimeSpan.parse(text) } }
}
