/// A command of the program: its name and purpose, and either its parameters and action or its subcommands.
///
///     struct Greet: Action {
///         let name: String
///         let count: Int
///
///         static var command: Command {
///             Command(
///                 "greet", "Say hello.", .argument(.text("NAME"), "Whom to greet."),
///                 .option("count", .integer(1...10), default: 1, "How often."), action: Greet.init)
///         }
///
///         func run() async throws { … }
///     }
///
/// Options may come before, between and after arguments, as `--name value`, `--name=value` and, with a
/// letter, `-n value` or `-nvalue`; after `--`, every word is an argument. Names cannot be abbreviated. Every
/// command has `--help` and `--version`, and every command with subcommands has `help COMMAND`.
public struct Command {
    /// The word that selects it.
    public let name: String
    /// Its purpose, in one sentence.
    public let abstract: String
    /// Further explanation.
    public let discussion: String
    /// Its subcommands.
    public let subcommands: [Subcommand]
    let declarations: [Declaration]
    private let makeAction: ((GivenValues) throws(UsageError) -> any Action)?

    /// Creates a command that runs an action. `action` receives the parameters' values in order.
    public init<each Value, Body: Action>(
        _ name: String, _ abstract: String, discussion: String = "",
        _ parameters: repeat Parameter<each Value>, action: @escaping (repeat each Value) -> Body
    ) {
        self.name = name
        self.abstract = abstract
        self.discussion = discussion
        subcommands = []
        var declarations: [Declaration] = []
        for parameter in repeat each parameters { declarations += parameter.declarations }
        self.declarations = declarations + Command.common
        makeAction = { given throws(UsageError) in
            let action = action(repeat try (each parameters).read(given))
            try action.validate()
            return action
        }
    }

    /// Creates a command that groups others.
    public init(_ name: String, _ abstract: String, discussion: String = "", subcommands: [Subcommand]) {
        self.name = name
        self.abstract = abstract
        self.discussion = discussion
        self.subcommands = subcommands
        declarations = Command.common
        makeAction = nil
    }

    /// The options of every command.
    private static let helpFlag = Declaration(
        kind: .flag, name: "help", letter: "h", help: "Show this help.", group: "Common options")
    private static let versionFlag = Declaration(
        kind: .flag, name: "version", help: "Show the version.", group: "Common options")
    private static let common = [helpFlag, versionFlag]

    // MARK: Parsing

    /// What a command line requests.
    public enum Request {
        /// Run this action.
        case run(any Action)
        /// Show this help.
        case help(HelpText)
        /// Show the program's version.
        case version
    }

    /// Parses a command line without the program's name.
    public func request(_ words: [String]) throws(UsageError) -> Request {
        try request(words[...], path: name)
    }

    private func request(_ words: ArraySlice<String>, path: String) throws(UsageError) -> Request {
        let line = try SplitLine(words, declarations, oneArgument: makeAction == nil)
        // A request for help succeeds whatever else is wrong.
        if line.has(Self.helpFlag) { return .help(HelpText(self, path: path)) }
        if line.has(Self.versionFlag) { return .version }
        guard let makeAction else {
            if let error = line.error { throw error }
            guard let (position, word) = line.arguments.first else {
                throw .noCommand(path: path, commands: subcommands.map(\.name))
            }
            return try descend(word, words[(position + 1)...], path: path)
        }
        return .run(try makeAction(line.given()))
    }

    private func descend(_ word: String, _ rest: ArraySlice<String>, path: String) throws(UsageError)
        -> Request
    {
        if let command = subcommands.first(where: { $0.name.utf8.elementsEqual(word.utf8) }) {
            return try command.command.request(rest, path: "\(path) \(command.name)")
        }
        guard word == "help" else {
            throw .unknownCommand(word, nearest: nearest(to: word, among: subcommands.map(\.name) + ["help"]))
        }
        return .help(try help(rest, path: path))
    }

    /// Returns the help of the command that `words` select below this one.
    private func help(_ words: ArraySlice<String>, path: String) throws(UsageError) -> HelpText {
        guard let word = words.first else { return HelpText(self, path: path) }
        guard let command = subcommands.first(where: { $0.name.utf8.elementsEqual(word.utf8) }) else {
            throw .unknownCommand(word, nearest: nearest(to: word, among: subcommands.map(\.name)))
        }
        return try command.command.help(words.dropFirst(), path: "\(path) \(command.name)")
    }
}

/// A command below another. It is made only when it is selected or listed, because making all commands would add a
/// millisecond to every start of the program.
public struct Subcommand {
    /// The word that selects it.
    public let name: String
    private let make: () -> Command

    /// Creates the subcommand `command`, whose name is `name`.
    public init(_ name: String, _ command: @autoclosure @escaping () -> Command) {
        self.name = name
        make = command
    }

    /// The command, made anew.
    public var command: Command {
        let command = make()
        assert(command.name == name, "subcommand \(name) makes the command \(command.name)")
        return command
    }
}

/// The work of a command.
public protocol Action {
    /// Rejects values that are valid individually but not together. Runs before the action.
    func validate() throws(UsageError)
    /// Runs the action.
    func run() async throws
}

extension Action {
    /// Accepts every combination.
    public func validate() throws(UsageError) {}
}
