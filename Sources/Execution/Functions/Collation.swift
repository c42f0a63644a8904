import CShims
import Glibc

/// SQLite's collations NOCASE and RTRIM (https://sqlite.org/datatype3.html#collating_sequences), which charge for what
/// they compare, because sorting makes many comparisons in one instruction.
final class Collation {
    /// Returns a negative number, 0 or a positive number as the first text sorts before, with or after the second.
    typealias Order = (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Int

    private let meter: CostMeter
    private let order: Order

    private init(_ meter: CostMeter, _ order: @escaping Order) {
        self.meter = meter
        self.order = order
    }

    static func register(on connection: SQLiteConnection, _ meter: CostMeter) throws(SQLiteFailure) {
        for (name, order) in [("NOCASE", ignoringCase), ("RTRIM", ignoringSpaces)] {
            let collation = Unmanaged.passRetained(Collation(meter, order)).toOpaque()
            try connection.check(
                sqlite3_create_collation_v2(
                    connection.handle, name, SQLITE_UTF8, collation,
                    { collation, leftCount, left, rightCount, right in
                        guard let collation else { return 0 }
                        return Unmanaged<Collation>.fromOpaque(collation).takeUnretainedValue().compare(
                            UnsafeRawBufferPointer(start: left, count: Int(leftCount)),
                            UnsafeRawBufferPointer(start: right, count: Int(rightCount)))
                    },
                    { if let collation = $0 { Unmanaged<Collation>.fromOpaque(collation).release() } }))
        }
    }

    private func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int32 {
        // A comparison cannot fail: if it spends the budget, the statement fails at its next value.
        let units = (left.count + right.count) / FunctionPrices.read.value
        if units > 0 { meter.charge(units) }
        return Int32(clamping: order(left, right))
    }

    /// Ignores the case of ASCII letters and, like SQLite, everything past a NUL.
    private static func ignoringCase(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
        for index in 0..<min(left.count, right.count) {
            let (a, b) = (folded(left[index]), folded(right[index]))
            if a != b { return a - b }
            if a == 0 { break }
        }
        return left.count - right.count
    }

    private static func folded(_ byte: UInt8) -> Int {
        Int((0x41...0x5A).contains(byte) ? byte | 0x20 : byte)
    }

    /// Ignores trailing spaces.
    private static func ignoringSpaces(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int
    {
        let (left, right) = (trimmed(left), trimmed(right))
        let count = min(left.count, right.count)
        if count > 0, let a = left.baseAddress, let b = right.baseAddress {
            let order = memcmp(a, b, count)
            if order != 0 { return Int(order) }
        }
        return left.count - right.count
    }

    private static func trimmed(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var count = text.count
        while count > 0, text[count - 1] == 0x20 { count -= 1 }
        return UnsafeRawBufferPointer(rebasing: text.prefix(count))
    }
}
