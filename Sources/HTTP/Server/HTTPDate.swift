import Glibc

/// The Date field (RFC 9110, section 5.6.7), formatted once per second.
struct HTTPDate {
    /// The last second of the year 9999.
    private static let last: Int64 = 253_402_300_799

    private var second: Int64 = -1
    /// `date: Sun, 06 Nov 1994 08:49:37 GMT` and CR LF.
    private(set) var line: [UInt8] = []

    /// Formats the line for `second` since 1970.
    mutating func update(_ second: Int64) {
        guard second != self.second else { return }
        self.second = second
        var time = time_t(min(max(second, 0), Self.last))
        var parts = tm()
        gmtime_r(&time, &parts)
        // The process keeps the C locale, whose names are English.
        var text = [CChar](repeating: 0, count: 48)
        let count = strftime(&text, text.count, "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts)
        line = text.prefix(count).map { UInt8(bitPattern: $0) }
    }
}
