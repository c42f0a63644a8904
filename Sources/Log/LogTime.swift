import Glibc

/// A point in time by the system's clock.
public struct LogTime: Sendable, Equatable {
    /// Seconds since 1970, UTC, without leap seconds.
    public let seconds: Int64
    /// What is above them: 0 to 999,999.
    public let microseconds: Int64

    /// `microseconds` after (before, if negative) `seconds` after 1970.
    public init(seconds: Int64, microseconds: Int64 = 0) {
        let carry = Self.divide(microseconds, 1_000_000)
        self.seconds = seconds &+ carry.quotient
        self.microseconds = carry.remainder
    }

    /// The system's clock now.
    public static var now: LogTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return LogTime(seconds: Int64(time.tv_sec), microseconds: Int64(time.tv_nsec) / 1_000)
    }

    /// Rounds down, also below zero.
    private static func divide(_ number: Int64, _ by: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = number.quotientAndRemainder(dividingBy: by)
        return remainder < 0 ? (quotient &- 1, remainder &+ by) : (quotient, remainder)
    }

    /// Appends the time as RFC 3339 writes it, in UTC: `2026-11-27T20:00:00.000000Z`. Years have four digits from 0 to
    /// 9999; a clock outside of them is wrong anyway, and stands at the nearer end.
    func append(to out: inout [UInt8]) {
        // 0000-01-01T00:00:00 and 9999-12-31T23:59:59.
        let bounded = min(max(seconds, -62_167_219_200), 253_402_300_799)
        let (day, second) = Self.divide(bounded, 86_400)
        let date = Self.date(day)
        Self.append(date.year, digits: 4, to: &out)
        out.append(UInt8(ascii: "-"))
        Self.append(date.month, digits: 2, to: &out)
        out.append(UInt8(ascii: "-"))
        Self.append(date.day, digits: 2, to: &out)
        out.append(UInt8(ascii: "T"))
        Self.append(second / 3_600, digits: 2, to: &out)
        out.append(UInt8(ascii: ":"))
        Self.append(second / 60 % 60, digits: 2, to: &out)
        out.append(UInt8(ascii: ":"))
        Self.append(second % 60, digits: 2, to: &out)
        out.append(UInt8(ascii: "."))
        Self.append(microseconds, digits: 6, to: &out)
        out.append(UInt8(ascii: "Z"))
    }

    /// The date of a day counted from 1970-01-01 in the Gregorian calendar. Years are counted from March here, so that
    /// the leap day is the last of its year and months before it have lengths that follow a line.
    private static func date(_ day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        // Days from 0000-03-01 to 1970-01-01, and in 400, 100, 4 and 1 years.
        let (era, ofEra) = divide(day &+ 719_468, 146_097)
        let yearOfEra = (ofEra &- ofEra / 1_460 &+ ofEra / 36_524 &- ofEra / 146_096) / 365
        let ofYear = ofEra &- (365 &* yearOfEra &+ yearOfEra / 4 &- yearOfEra / 100)
        let fromMarch = (5 &* ofYear &+ 2) / 153
        let month = fromMarch < 10 ? fromMarch &+ 3 : fromMarch &- 9
        return (
            year: era &* 400 &+ yearOfEra &+ (month <= 2 ? 1 : 0), month: month,
            day: ofYear &- (153 &* fromMarch &+ 2) / 5 &+ 1
        )
    }

    private static func append(_ number: Int64, digits: Int, to out: inout [UInt8]) {
        var divisor: Int64 = 1
        for _ in 1..<digits { divisor &*= 10 }
        while divisor > 0 {
            out.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
    }
}
