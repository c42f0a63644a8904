/// Numbers with a fixed number of decimals, for people.
package enum DecimalText {
    /// `value` rounded to `places` decimals, of which there are 9 at most; as Swift writes it where it has no decimals
    /// to round: beyond some 2^53, infinite, or not a number.
    package static func text(_ value: Double, places: Int) -> String {
        var scale: Int64 = 1
        for _ in 0..<min(max(places, 0), 9) { scale *= 10 }
        let scaled = (value * Double(scale)).rounded()
        guard scaled.magnitude < 9e15 else { return "\(value)" }
        let digits = Int64(scaled.magnitude)
        let sign = scaled < 0 ? "-" : ""
        guard scale > 1 else { return "\(sign)\(digits)" }
        return "\(sign)\(digits / scale).\(String(digits % scale + scale).dropFirst())"
    }
}

extension Duration {
    /// Milliseconds with three decimals.
    package var milliseconds: String { "\(DecimalText.text(self / .milliseconds(1), places: 3)) ms" }

    /// Seconds with two decimals.
    package var seconds: String { DecimalText.text(self / .seconds(1), places: 2) }
}
