import Glibc

/// A point in time by the system clock.
public struct LogTime: Sendable, Equatable {
    /// Seconds since 1970, UTC, without leap seconds.
    public let seconds: Int64
    /// The remainder: 0 to 999,999.
    public let microseconds: Int64

    /// Creates the time `microseconds` after `seconds` since 1970; negative values count backwards.
    public init(seconds: Int64, microseconds: Int64 = 0) {
        let (quotient, remainder) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        self.seconds = seconds &+ quotient &- (remainder < 0 ? 1 : 0)
        self.microseconds = remainder < 0 ? remainder &+ 1_000_000 : remainder
    }

    /// The current time.
    public static var now: LogTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return LogTime(seconds: Int64(time.tv_sec), microseconds: Int64(time.tv_nsec) / 1_000)
    }

    /// Appends the time in UTC, in the format of RFC 3339: `2026-11-27T20:00:00.000000Z`. Years are limited
    /// to 0 to 9999; a clock beyond them is wrong anyway and shows the nearer bound.
    func append(to out: inout [UInt8]) {
        // 0000-01-01T00:00:00 and 9999-12-31T23:59:59.
        var bounded = time_t(min(max(seconds, -62_167_219_200), 253_402_300_799))
        var date = tm()
        gmtime_r(&bounded, &date)
        Self.append(Int64(date.tm_year) &+ 1900, digits: 4, to: &out)
        out.append(UInt8(ascii: "-"))
        Self.append(Int64(date.tm_mon) &+ 1, digits: 2, to: &out)
        out.append(UInt8(ascii: "-"))
        Self.append(Int64(date.tm_mday), digits: 2, to: &out)
        out.append(UInt8(ascii: "T"))
        Self.append(Int64(date.tm_hour), digits: 2, to: &out)
        out.append(UInt8(ascii: ":"))
        Self.append(Int64(date.tm_min), digits: 2, to: &out)
        out.append(UInt8(ascii: ":"))
        Self.append(Int64(date.tm_sec), digits: 2, to: &out)
        out.append(UInt8(ascii: "."))
        Self.append(microseconds, digits: 6, to: &out)
        out.append(UInt8(ascii: "Z"))
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
