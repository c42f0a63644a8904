extension String {
    /// Returns the text with spaces appended up to `width` characters; longer text is returned unchanged.
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

    /// Returns the text with spaces before it up to `width` characters; longer text is returned unchanged.
    func rightAligned(in width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}

extension [String] {
    /// Returns the cells as one line, each padded to its column's width. Cells beyond `widths` are not padded.
    func columns(_ widths: [Int]) -> String {
        enumerated().map { $0 < widths.count ? $1.padded(to: widths[$0]) : $1 }.joined()
    }
}
