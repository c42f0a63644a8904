/// A command's help: usage, purpose, arguments and options under headings, and subcommands.
public struct HelpText {
    private let command: Command
    private let path: String

    /// - Parameter path: the words that select the command.
    init(_ command: Command, path: String) {
        self.command = command
        self.path = path
    }

    /// The width, in columns, if the output is not a terminal or does not report its width.
    public static let usualColumns = 80
    /// The minimum width; a narrower line would hold little more than a word.
    private static let fewestColumns = 40
    /// The maximum width; longer lines are hard to read.
    private static let mostColumns = 110
    /// The column at which explanations begin.
    private static let explanationColumn = 24

    /// Returns the help in lines of at most `columns` columns, unless a single word is longer.
    public func text(columns: Int = HelpText.usualColumns) -> String {
        let columns = min(max(columns, Self.fewestColumns), Self.mostColumns)
        var lines = Self.wrapped(usage, columns: columns, indent: 7)
        lines += [""] + Self.wrapped(command.abstract, columns: columns)
        if !command.discussion.isEmpty {
            lines += [""] + Self.wrapped(command.discussion, columns: columns)
        }
        for section in sections {
            lines += ["", "\(section.heading):"]
            for (term, explanation) in section.entries {
                lines += Self.entry(term, explanation, columns: columns)
            }
        }
        return lines.map { "\($0)\n" }.joined()
    }

    private var usage: String {
        var words = ["Usage:", path]
        guard command.subcommands.isEmpty else { return (words + ["COMMAND"]).joined(separator: " ") }
        let options = command.declarations.filter { $0.kind != .argument }
        words += options.filter(\.isRequired).map { "--\($0.name) \($0.placeholder)" }
        words.append("[OPTION...]")
        words += command.declarations.filter { $0.kind == .argument }.map {
            $0.isRequired ? $0.name : "[\($0.name)]"
        }
        return words.joined(separator: " ")
    }

    // MARK: Sections

    private struct Section {
        var heading: String
        var entries: [(term: String, explanation: String)]
    }

    private var sections: [Section] {
        var sections: [Section] = []
        if !command.subcommands.isEmpty {
            let entries = command.subcommands.map { (term: $0.name, explanation: $0.command.abstract) }
            let help = (term: "help COMMAND", explanation: "Show a command's help.")
            sections.append(Section(heading: "Commands", entries: entries + [help]))
        }
        let arguments = command.declarations.filter { $0.kind == .argument }
        let options = command.declarations.filter { $0.kind != .argument }
        for declaration in arguments + options.filter({ $0.group == nil })
            + options.filter({ $0.group != nil })
        {
            let heading = declaration.group ?? (declaration.kind == .argument ? "Arguments" : "Options")
            let entry = (term: Self.term(declaration), explanation: Self.explanation(declaration))
            if let index = sections.firstIndex(where: { $0.heading == heading }) {
                sections[index].entries.append(entry)
            } else {
                sections.append(Section(heading: heading, entries: [entry]))
            }
        }
        return sections
    }

    private static func term(_ declaration: Declaration) -> String {
        guard declaration.kind != .argument else { return declaration.name }
        let letter = declaration.letter.map { "-\($0), " } ?? ""
        let value = declaration.kind == .option ? " \(declaration.placeholder)" : ""
        return "\(letter)--\(declaration.name)\(value)"
    }

    private static func explanation(_ declaration: Declaration) -> String {
        var notes: [String] = []
        if let range = declaration.range { notes.append(range) }
        if declaration.isRequired, declaration.kind != .argument { notes.append("required") }
        if declaration.isRepeated { notes.append("may be repeated") }
        if let text = declaration.defaultText { notes.append("default: \(text)") }
        return declaration.help + (notes.isEmpty ? "" : " (\(notes.joined(separator: "; ")))")
    }

    // MARK: Lines

    private static func entry(_ term: String, _ explanation: String, columns: Int) -> [String] {
        let start = "  \(term)"
        let indent = String(repeating: " ", count: explanationColumn)
        let lines = wrapped(explanation, columns: columns - explanationColumn).map { indent + $0 }
        guard start.count + 2 <= explanationColumn, let first = lines.first else { return [start] + lines }
        return [start + first.dropFirst(start.count)] + lines.dropFirst()
    }

    /// Fills lines with words, indenting all but the first.
    private static func wrapped(_ text: String, columns: Int, indent: Int = 0) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > columns {
                lines.append(line)
                line = String(repeating: " ", count: indent) + word
            } else {
                line += line.isEmpty ? "\(word)" : " \(word)"
            }
        }
        return lines + [line]
    }
}
