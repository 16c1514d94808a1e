import Bytes
import Testing

@Suite struct UnitTextTests {
    @Test(
        arguments: [
            ("2", .seconds(2)), ("2s", .seconds(2)), ("1.5s", .milliseconds(1500)), ("500ms", .milliseconds(500)),
            ("1m", .seconds(60)), ("2h", .seconds(7200)), ("7d", .seconds(604_800)), ("0", .zero),
            ("0.0001ms", .nanoseconds(100)), ("36600d", .seconds(36_600 * 86_400)),
        ] as [(String, Duration)])
    func `a time has a unit or is in seconds`(text: String, time: Duration) { #expect(Duration(text: text) == time) }

    @Test(arguments: [
        "", "s", "-1", "+1", "2 s", "nan", "inf", "1e3", "0x10", "1.2.3", ".", "two", "2ss", "36601d", "1w", "2S",
    ])
    func `anything else is no time`(text: String) { #expect(Duration(text: text) == nil) }

    @Test(arguments: [("0", 0), ("200", 200), ("1k", 1024), ("1K", 1024), ("2M", 2 << 20), ("1G", 1 << 30)])
    func `a size is in bytes or has a unit`(text: String, bytes: Int) { #expect(Int(byteCount: text) == bytes) }

    @Test(arguments: ["", "K", "-1", "+1", "1.5K", "1 K", "1KB", "1T", "9999999999G", "99999999999999999999"])
    func `anything else is no size`(text: String) { #expect(Int(byteCount: text) == nil) }
}
