import Arguments
import Bytes
import Chain

/// The parameters of a statement on the command line.
enum StatementParameters {
    static var option: Parameter<[RawStatement.Parameter]> {
        .repeated(
            "parameter", letter: "p",
            Syntax("NAME=TEXT", expected: "name=text, or name:=whole number", parse: parse),
            "Parameter: name=text, or name:=whole number.")
    }

    /// Throws if two names are equal.
    static func check(_ parameters: [RawStatement.Parameter]) throws(UsageError) {
        var names: Set<RawText> = []
        for parameter in parameters where !names.insert(parameter.name).inserted {
            throw .inconsistent("--parameter \(parameter.name.string) is given twice")
        }
    }

    private static func parse(_ text: String) -> RawStatement.Parameter? {
        let bytes = text.utf8
        guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        var name = text[..<equals]
        let rest = String(text[bytes.index(after: equals)...])
        var value = Value.text(rest)
        if name.utf8.last == UInt8(ascii: ":") {
            name = text[..<bytes.index(before: equals)]
            guard let number = Int64(rest) else { return nil }
            value = .int8(number)
        }
        if name.utf8.first == UInt8(ascii: "$") {
            name = text[bytes.index(after: name.startIndex)..<name.endIndex]
        }
        return name.isEmpty ? nil : RawStatement.Parameter("$\(name)", value)
    }
}
