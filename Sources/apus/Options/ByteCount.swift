import Arguments

/// A number of bytes with an optional unit: `1000`, `64KiB`, `16MiB`, `1GiB`, `2TiB`.
struct ByteCount: Equatable, Sendable, CustomStringConvertible {
    private static let units: [(suffix: String, size: UInt64)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
    ]

    let value: UInt64

    init(_ value: UInt64) { self.value = value }

    init?(_ text: String) {
        let unit = Self.units.first { text.hasSuffix($0.suffix) }
        guard let number = UInt64(text.dropLast(unit?.suffix.count ?? 0)) else { return nil }
        let (value, overflow) = number.multipliedReportingOverflow(by: unit?.size ?? 1)
        guard !overflow else { return nil }
        self.value = value
    }

    var description: String { String(value) }
}

extension Syntax where Value == ByteCount {
    /// A number of bytes.
    static var byteCount: Self {
        Syntax("BYTES", expected: "a number of bytes such as 1000, 64KiB, 16MiB or 1GiB, below 16 EiB") {
            ByteCount($0)
        }
    }
}
