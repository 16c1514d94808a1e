import NIOCore
import Testing

@testable import subspy

@Suite struct QuantityTests {
    @Test(
        arguments: [
            (0, "0 B"), (999, "999 B"), (999.6, "1.0 kB"), (1000, "1.0 kB"), (99_400, "99.4 kB"), (99_600, "100 kB"),
            (999_400, "999 kB"),
            (999_600, "1.0 MB"), (1.5e9, "1.5 GB"), (2e15, "2000 TB"),
        ] as [(Double, String)])
    func `bytes have three digits and a unit`(count: Double, text: String) {
        #expect(Quantity.bytes(count) == text)
    }

    @Test(
        arguments: [(0, "0.0"), (9.94, "9.9"), (9.96, "10"), (10_032.4, "10,032"), (1_234_567, "1,234,567")]
            as [(Double, String)])
    func `rates have tenths where they are small`(rate: Double, text: String) {
        #expect(Quantity.rate(rate) == text)
    }

    @Test(
        arguments: [
            (.milliseconds(340), "0.3"), (.seconds(59), "59.0"), (.milliseconds(59_960), "1:00"),
            (.seconds(727), "12:07"),
            (.seconds(11_100), "3:05:00"), (.seconds(-1), "0.0"),
        ] as [(TimeAmount, String)])
    func `times are seconds, then minutes, then hours`(time: TimeAmount, text: String) {
        #expect(Quantity.seconds(time) == text)
    }
}
