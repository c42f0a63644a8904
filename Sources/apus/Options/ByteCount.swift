import Arguments

extension Syntax where Value == UInt64 {
    /// A number of bytes with an optional unit: `1000`, `64KiB`, `16MiB`, `1GiB`, `2TiB`.
    static var byteCount: Self {
        Syntax("BYTES", expected: "a number of bytes such as 1000, 64KiB, 16MiB or 1GiB, below 16 EiB") {
            text in
            let units: [(suffix: String, size: UInt64)] = [
                ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
            ]
            let unit = units.first { text.hasSuffix($0.suffix) }
            guard let number = UInt64(text.dropLast(unit?.suffix.count ?? 0)) else { return nil }
            let (value, overflow) = number.multipliedReportingOverflow(by: unit?.size ?? 1)
            return overflow ? nil : value
        }
    }
}
