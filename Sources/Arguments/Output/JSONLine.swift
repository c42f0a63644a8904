import JSON

/// One line of JSON for a program to read (RFC 8259). What a terminal would interpret, or would not show, is escaped within
/// strings, so that it is safe to look at as well.
package struct JSONLine: Sendable {
    /// The line, without its end.
    package let text: String

    /// Creates the line of the one value that `body` writes.
    package init(_ body: (inout JSONWriter) -> Void) {
        var writer = JSONWriter()
        body(&writer)
        var text = ""
        for scalar in String(decoding: writer.bytes, as: UTF8.self).unicodeScalars {
            if Self.isShown(scalar) {
                text.unicodeScalars.append(scalar)
            } else {
                for unit in scalar.utf16 {
                    let digits = String(unit, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
                }
            }
        }
        self.text = text
    }

    /// Creates the line of the one object whose members `body` writes.
    package static func object(_ body: (inout JSONWriter) -> Void) -> JSONLine {
        JSONLine { $0.object { body(&$0) } }
    }

    /// Whether a character of a string may remain as it is. JSON itself allows all but the ASCII control characters.
    private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
        guard !scalar.isASCII else { return scalar != "\u{7F}" }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: return false
        default: return true
        }
    }
}
