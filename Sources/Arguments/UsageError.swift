/// The reason a command line was rejected: one line that names the option or argument. The program exits with
/// `exitCode`.
public enum UsageError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The command does not have this option; suggests the nearest one.
    case unknownOption(String, nearest: String?)
    /// The command does not exist; suggests the nearest one.
    case unknownCommand(String, nearest: String?)
    /// The command needs a subcommand.
    case noCommand(path: String, commands: [String])
    /// The option needs a value.
    case missingValue(option: String)
    /// The word after an option looks like another option; `=` would make it a value.
    case doubtfulValue(option: String, value: String)
    /// The option takes no value but was given one.
    case unwantedValue(option: String)
    /// The value of an option or argument is invalid.
    case invalidValue(name: String, value: String, expected: String)
    /// The option may be given only once.
    case givenTwice(option: String)
    /// The option or argument must be given.
    case missing(String)
    /// The command takes no further argument.
    case unexpectedArgument(String)
    /// A word of the command line, counted from 1, is not UTF-8.
    case notUTF8(position: Int)
    /// The options are valid individually but not together.
    case inconsistent(String)
    /// There is not enough memory to parse the command line.
    case outOfMemory

    /// `EX_USAGE` of sysexits(3).
    public static let exitCode: Int32 = 64

    /// One line, in which words of the command line are truncated but not escaped.
    public var description: String {
        switch self {
        case .unknownOption(let option, let nearest): "unknown option \(quoted(option))\(asking(nearest))"
        case .unknownCommand(let command, let nearest): "unknown command \(quoted(command))\(asking(nearest))"
        case .noCommand(let path, let commands):
            "\(quoted(path)) needs a command: \(listed(commands)); see \(quoted("\(path) --help"))"
        case .missingValue(let option): "\(option) needs a value"
        case .doubtfulValue(let option, let value):
            "\(option) needs a value; if \(quoted(value)) is the value, write \(quoted("\(option)=\(value)"))"
        case .unwantedValue(let option): "\(option) takes no value"
        case .invalidValue(let name, let value, let expected): "\(name): \(quoted(value)) is not \(expected)"
        case .givenTwice(let option): "\(option) is given twice"
        case .missing(let name): "\(name) is missing"
        case .unexpectedArgument(let argument): "unexpected argument \(quoted(argument))"
        case .notUTF8(let position): "word \(position) of the command line is not UTF-8"
        case .inconsistent(let reason): reason
        case .outOfMemory: "not enough memory to read the command line"
        }
    }

    /// The maximum length of a quoted word, in characters: an SQL statement would fill the screen.
    private static let quotedCharacters = 80

    private func quoted(_ word: String) -> String {
        let start = word.prefix(Self.quotedCharacters)
        return start.endIndex == word.endIndex ? "\"\(word)\"" : "\"\(start)…\""
    }

    private func asking(_ nearest: String?) -> String {
        nearest.map { "; did you mean \(quoted($0))?" } ?? ""
    }
}

/// `a`, `a or b`, `a, b or c`.
func listed(_ words: [String]) -> String {
    guard let last = words.last else { return "" }
    return words.count == 1 ? last : words.dropLast().joined(separator: ", ") + " or " + last
}
