/// How a command prints its result: as text for people or, with `--json`, for programs.
package enum OutputForm: Sendable {
    /// Lines of text, which may change from version to version.
    case text
    /// A line of JSON.
    case json

    /// The option `--json`, for each command that prints a result.
    package static var parameter: Parameter<OutputForm> {
        .group(
            "Common options",
            .flag(name, "Print the result as a line of JSON, and an error as one on standard error."),
            make: { $0 ? .json : .text })
    }

    private static let name = "json"

    /// The form that a command line asks for, even if it is otherwise wrong.
    static func of(_ words: [String]) -> OutputForm {
        words.prefix { $0 != "--" }.contains { $0.utf8.elementsEqual("--\(name)".utf8) } ? .json : .text
    }
}
