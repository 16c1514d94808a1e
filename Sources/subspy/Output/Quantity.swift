import NIOCore

/// Numbers as people read them.
enum Quantity {
    /// `178 B`, `1.8 kB`, `22 MB`: units of a thousand.
    static func bytes(_ count: Double) -> String {
        var (value, unit) = (count, "B")
        for larger in ["kB", "MB", "GB", "TB"] where value >= 999.5 { (value, unit) = (value / 1000, larger) }
        return "\(significant(value, isWhole: unit == "B")) \(unit)"
    }

    /// `0.4`, `12`, `10,032`.
    static func rate(_ value: Double) -> String { value < 9.95 ? tenths(value) : grouped(Int(value.rounded())) }

    /// `0.3`, `59.9`, `12:07`, `3:05:00`: seconds, minutes and hours.
    static func seconds(_ time: TimeAmount) -> String {
        let value = max(Double(time.nanoseconds) / 1e9, 0)
        if value < 59.95 { return tenths(value) }
        let whole = Int(value.rounded())
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        if whole < 3600 { return "\(whole / 60):\(two(whole % 60))" }
        return "\(whole / 3600):\(two(whole / 60 % 60)):\(two(whole % 60))"
    }

    /// `1 message`, `2 messages`.
    static func messages(_ count: Int) -> String { "\(count) \(count == 1 ? "message" : "messages")" }

    /// `1,234,567`.
    static func grouped(_ number: Int) -> String {
        let digits = Array(String(number))
        return String(
            digits.enumerated().flatMap { index, digit in
                index > 0 && (digits.count - index) % 3 == 0 && digits[index - 1] != "-" ? [",", digit] : [digit]
            })
    }

    private static func significant(_ value: Double, isWhole: Bool) -> String {
        isWhole || value >= 99.5 ? "\(Int(value.rounded()))" : tenths(value)
    }

    private static func tenths(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
