/// Decimal notation with a fixed number of decimal places.
package enum DecimalText {
    /// Returns `value` rounded to `places` decimal places, at most 9. A value of 9e15 / 10^`places` or more, an
    /// infinite one and NaN are written as Swift writes them.
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
    /// Milliseconds with three decimal places and the unit.
    package var milliseconds: String { "\(bareMilliseconds) ms" }

    /// Milliseconds with three decimal places, without the unit.
    package var bareMilliseconds: String { DecimalText.text(self / .milliseconds(1), places: 3) }

    /// Seconds with two decimal places, without the unit.
    package var seconds: String { DecimalText.text(self / .seconds(1), places: 2) }
}
