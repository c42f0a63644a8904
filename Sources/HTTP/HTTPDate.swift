/// The Date field (RFC 9110, section 5.6.7), written anew once a second.
struct HTTPDate {
    private static let days: [StaticString] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months: [StaticString] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    /// The last second that has a year of four digits.
    private static let last: Int64 = 253_402_300_799

    private var second: Int64 = -1
    /// `date: Sun, 06 Nov 1994 08:49:37 GMT` and the line's end.
    private(set) var line: [UInt8] = []

    /// Brings the line to `second` since 1970.
    mutating func update(_ second: Int64) {
        guard second != self.second else { return }
        self.second = second
        let time = min(max(second, 0), Self.last)
        let (day, rest) = time.quotientAndRemainder(dividingBy: 86_400)
        let (year, month, dayOfMonth) = Self.date(ofDay: day)
        line.removeAll(keepingCapacity: true)
        add("date: ")
        add(Self.days[Int(day % 7)])
        add(", ")
        add(two: dayOfMonth)
        add(" ")
        add(Self.months[Int(month - 1)])
        add(" ")
        add(two: year / 100)
        add(two: year % 100)
        add(" ")
        add(two: rest / 3600)
        add(":")
        add(two: rest / 60 % 60)
        add(":")
        add(two: rest % 60)
        add(" GMT\r\n")
    }

    private mutating func add(_ text: StaticString) {
        line.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func add(two number: Int64) {
        line.append(UInt8(truncatingIfNeeded: 48 + number / 10))
        line.append(UInt8(truncatingIfNeeded: 48 + number % 10))
    }

    /// The Gregorian date of a day counted from 1 January 1970. Years are counted from March, so that the leap day is
    /// their last, in cycles of 400.
    private static func date(ofDay day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = day + 719_468
        let (cycle, dayOfCycle) = shifted.quotientAndRemainder(dividingBy: 146_097)
        let yearOfCycle = (dayOfCycle - dayOfCycle / 1460 + dayOfCycle / 36_524 - dayOfCycle / 146_096) / 365
        let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
        let march = (5 * dayOfYear + 2) / 153
        let month = march < 10 ? march + 3 : march - 9
        return (
            cycle * 400 + yearOfCycle + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * march + 2) / 5 + 1
        )
    }
}
