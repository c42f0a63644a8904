/// The command-line syntax of a value, and how help and errors describe it.
public struct Syntax<Value> {
    /// The placeholder in help, in capitals.
    let placeholder: String
    /// The valid values, for help: `1 to 50`. Nil if `placeholder` suffices.
    let range: String?
    /// What a value must be, for errors: `a whole number from 1 to 50`.
    let expected: String
    /// Parses a text; nil if it is invalid.
    let parse: (String) -> Value?
    /// Formats a value.
    let text: (Value) -> String

    /// - Parameters:
    ///   - placeholder: the placeholder in help, in capitals.
    ///   - range: the valid values, for help.
    ///   - expected: what a value must be, phrased to follow "is not" in errors.
    ///   - parse: parses a text; returns nil if it is invalid.
    ///   - text: formats a value.
    public init(
        _ placeholder: String, range: String? = nil, expected: String,
        parse: @escaping (String) -> Value?, text: @escaping (Value) -> String = { "\($0)" }
    ) {
        self.placeholder = placeholder
        self.range = range
        self.expected = expected
        self.parse = parse
        self.text = text
    }

    /// Returns the syntax of a list of such values, separated by commas.
    public func list() -> Syntax<[Value]> {
        Syntax<[Value]>(
            "\(placeholder),...", range: range,
            expected: "\(expected), or several of them separated by commas",
            parse: { [parse] list in
                let parts = list.split(separator: ",", omittingEmptySubsequences: false)
                let values = parts.compactMap { parse(String($0)) }
                return values.count == parts.count ? values : nil
            }, text: { [text] in $0.map(text).joined(separator: ",") })
    }

    /// Returns the same syntax for the values that `convert` returns.
    public func map<Other>(
        _ convert: @escaping (Value) -> Other?, text: @escaping (Other) -> String
    ) -> Syntax<Other> {
        Syntax<Other>(
            placeholder, range: range, expected: expected,
            parse: { [parse] in parse($0).flatMap(convert) }, text: text)
    }
}

extension Syntax where Value == String {
    /// Any text but the empty one, which usually comes from an unset shell variable.
    public static func text(_ placeholder: String) -> Self {
        Syntax(placeholder, expected: "a non-empty text", parse: { $0.isEmpty ? nil : $0 })
    }

    /// One of these texts.
    public static func oneOf(_ choices: [String], placeholder: String) -> Self {
        Syntax(
            placeholder, range: listed(choices), expected: listed(choices),
            parse: { text in choices.first { $0.utf8.elementsEqual(text.utf8) } })
    }
}

extension Syntax where Value: FixedWidthInteger {
    /// A whole number in this range.
    public static func integer(_ range: ClosedRange<Value>, _ placeholder: String = "NUMBER") -> Self {
        let bounds = "\(range.lowerBound) to \(range.upperBound)"
        return Syntax(
            placeholder, range: bounds,
            expected: "a whole number from \(range.lowerBound) to \(range.upperBound)",
            parse: { text in Value(text).flatMap { range.contains($0) ? $0 : nil } })
    }
}

extension Syntax where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the cases' raw values.
    public static func choice(_ placeholder: String) -> Self {
        let choices = Syntax<String>.oneOf(Value.allCases.map(\.rawValue), placeholder: placeholder)
        return choices.map({ Value(rawValue: $0) }, text: { $0.rawValue })
    }
}
