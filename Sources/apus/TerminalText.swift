/// Text from outside, made fit for a line on a terminal.
enum TerminalText {
    /// Escapes what a terminal would obey instead of show, and the backslash, so that different texts look different.
    static func escape(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += #"\\"#
            case "\n": escaped += #"\n"#
            case "\r": escaped += #"\r"#
            case "\t": escaped += #"\t"#
            case " ": escaped += " "
            case "\u{0}"..."\u{1F}", "\u{7F}":
                escaped += "\\x\(String(scalar.value + 0x100, radix: 16).dropFirst())"
            default:
                switch scalar.properties.generalCategory {
                case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
                    .paragraphSeparator, .spaceSeparator, .nonspacingMark, .enclosingMark:
                    escaped += "\\u{\(String(scalar.value, radix: 16))}"
                default: escaped.unicodeScalars.append(scalar)
                }
            }
        }
        return escaped
    }
}
