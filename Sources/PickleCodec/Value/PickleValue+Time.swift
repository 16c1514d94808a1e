/// A `datetime.datetime`, field by field. `description` is Python's `isoformat()`.
public struct PickleDateTime: Hashable, Sendable {
    /// The date.
    public let date: PickleDate
    /// The time of day.
    public let time: PickleTime
}

/// A `datetime.date`: year 1 to 9999, month 1 to 12, day 1 to 31.
public struct PickleDate: Hashable, Sendable {
    public let year, month, day: Int
}

/// A `datetime.time`: hour, minute, second, microsecond, and which of two equal wall times it is.
public struct PickleTime: Hashable, Sendable {
    public let hour, minute, second, microsecond: Int
    /// 1 for the later of two times in a fold, else 0.
    public let fold: Int
    /// The time zone if there is one: any object, see `PickleValue.utcOffset`.
    public let timeZone: PickleValue?
}

/// A `datetime.timedelta` as Python normalises it.
public struct PickleTimeDelta: Hashable, Sendable {
    public let days, seconds, microseconds: Int
}

extension PickleDate: CustomStringConvertible {
    /// `2024-02-29`.
    public var description: String { padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2) }

    /// 4 bytes: year, big-endian, month and day. nil outside of Python's ranges.
    init?(_ bytes: some Collection<UInt8>) {
        let fields = Array(bytes)
        guard fields.count == 4 else { return nil }
        year = Int(fields[0]) << 8 | Int(fields[1])
        month = Int(fields[2])
        day = Int(fields[3])
        guard 1...9999 ~= year, 1...12 ~= month, 1...31 ~= day else { return nil }
    }
}

extension PickleTime: CustomStringConvertible {
    /// `23:59:59.999999`, with the offset from UTC where it is fixed.
    public var description: String {
        var text = padded(hour, 2) + ":" + padded(minute, 2) + ":" + padded(second, 2)
        if microsecond > 0 { text += "." + padded(microsecond, 6) }
        if let offset = timeZone?.utcOffset { text += offset.offsetText }
        return text
    }

    init?(_ fields: [UInt8], fold: Int, timeZone: PickleValue?) {
        guard fields.count == 6 else { return nil }
        hour = Int(fields[0])
        minute = Int(fields[1])
        second = Int(fields[2])
        microsecond = Int(fields[3]) << 16 | Int(fields[4]) << 8 | Int(fields[5])
        self.fold = fold
        self.timeZone = timeZone
        guard hour < 24, minute < 60, second < 60, microsecond < 1_000_000 else { return nil }
    }
}

extension PickleDateTime: CustomStringConvertible {
    /// `2024-02-29T12:34:56.789012+02:00`.
    public var description: String { "\(date)T\(time)" }
}

extension PickleTimeDelta {
    /// The offset of a time zone as `isoformat()` shows it.
    fileprivate var offsetText: String {
        let total = (days * 86_400 + seconds) * 1_000_000 + microseconds
        let size = abs(total) / 1_000_000
        let rest = abs(total) % 1_000_000
        var text = (total < 0 ? "-" : "+") + padded(size / 3600, 2) + ":" + padded(size / 60 % 60, 2)
        if size % 60 != 0 || rest != 0 { text += ":" + padded(size % 60, 2) }
        if rest != 0 { text += "." + padded(rest, 6) }
        return text
    }
}

private func padded(_ value: Int, _ count: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, count - digits.count)) + digits
}

// Views of `datetime`: nil if the object is something else or out of range.
extension PickleValue {
    /// A `datetime.datetime`. Bit 7 of the month is the fold.
    public var dateTime: PickleDateTime? {
        guard let (bytes, zone) = temporal("datetime", length: 10) else { return nil }
        var fields = bytes
        let fold = fields[2] >= 0x80 ? 1 : 0
        fields[2] &= 0x7f
        guard let date = PickleDate(fields[..<4]),
            let time = PickleTime(Array(fields[4...]), fold: fold, timeZone: zone)
        else { return nil }
        return PickleDateTime(date: date, time: time)
    }

    /// A `datetime.date`.
    public var date: PickleDate? {
        guard let (bytes, zone) = temporal("date", length: 4), zone == nil else { return nil }
        return PickleDate(bytes)
    }

    /// A `datetime.time`. Bit 7 of the hour is the fold.
    public var time: PickleTime? {
        guard let (bytes, zone) = temporal("time", length: 6) else { return nil }
        var fields = bytes
        let fold = fields[0] >= 0x80 ? 1 : 0
        fields[0] &= 0x7f
        return PickleTime(fields, fold: fold, timeZone: zone)
    }

    /// A `datetime.timedelta`.
    public var timeDelta: PickleTimeDelta? {
        guard let object = call("datetime", "timedelta"), object.arguments.count == 3,
            let days = object.arguments[0].int, let seconds = object.arguments[1].int,
            let microseconds = object.arguments[2].int, -999_999_999...999_999_999 ~= days, 0..<86_400 ~= seconds,
            0..<1_000_000 ~= microseconds
        else { return nil }
        return PickleTimeDelta(days: days, seconds: seconds, microseconds: microseconds)
    }

    /// The offset of a `datetime.timezone` from UTC; nil for zones without an offset in the pickle.
    public var utcOffset: PickleTimeDelta? {
        guard let object = call("datetime", "timezone"), 1...2 ~= object.arguments.count else { return nil }
        return object.arguments[0].timeDelta
    }

    /// The key of a `zoneinfo.ZoneInfo`, e.g. `Europe/Berlin`.
    public var zoneInfoKey: String? {
        guard case .object(let object) = self, case .object(let method) = object.callable,
            method.arguments.count == 2, method.arguments[1].string == "_unpickle",
            case .global(let type) = method.arguments[0], type == PickleName(module: "zoneinfo", name: "ZoneInfo")
        else { return nil }
        return object.arguments.first?.string
    }

    /// The bytes and the time zone of a call of a `datetime` class.
    private func temporal(_ name: String, length: Int) -> (bytes: [UInt8], zone: PickleValue?)? {
        guard let object = call("datetime", name), 1...2 ~= object.arguments.count else { return nil }
        let bytes: [UInt8]
        switch object.arguments[0] {
        case .bytes(let own), .byteString(let own): bytes = own
        default: return nil
        }
        guard bytes.count == length else { return nil }
        return (bytes, object.arguments.count == 2 ? object.arguments[1] : nil)
    }
}
