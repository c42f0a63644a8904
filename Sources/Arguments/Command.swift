/// A command of the program: its name, what it is for, and either its options and arguments and what runs with them,
/// or the commands below it.
///
///     struct Greet: Action {
///         let name: String
///         let count: Int
///
///         static var command: Command {
///             Command(
///                 "greet", "Say hello.", .argument(.text("NAME"), "Who is greeted."),
///                 .option("count", .integer(1...10), default: 1, "How often."), action: Greet.init)
///         }
///
///         func run() async throws { … }
///     }
///
/// Options may stand before, between and after arguments, as `--name value`, `--name=value` and, with a letter,
/// `-n value` or `-nvalue`; after `--` come arguments only. Names are not to be abbreviated. Every command has
/// `--help` and `--version`, and every command with others below it has `help COMMAND`.
public struct Command {
    /// What runs it.
    public let name: String
    /// What it is for: one sentence.
    public let abstract: String
    /// What more there is to say.
    public let discussion: String
    /// The commands below it.
    public let subcommands: [Command]
    let declarations: [Declaration]
    private let makeAction: ((GivenValues) throws(UsageError) -> any Action)?

    /// A command that runs. `action` takes the values of the parameters in their order.
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

    /// A command that is a group of others.
    public init(_ name: String, _ abstract: String, subcommands: [Command]) {
        self.name = name
        self.abstract = abstract
        discussion = ""
        self.subcommands = subcommands
        declarations = Command.common
        makeAction = nil
    }

    /// What every command has.
    private static let helpFlag = Declaration(
        kind: .flag, name: "help", letter: "h", help: "Show this help.", group: "With every command")
    private static let versionFlag = Declaration(
        kind: .flag, name: "version", help: "Show the version.", group: "With every command")
    private static let common = [helpFlag, versionFlag]

    // MARK: Parsing

    /// What a command line asks for.
    public enum Request {
        /// To run this.
        case run(any Action)
        /// To show this.
        case help(HelpText)
        /// To show the program's version.
        case version
    }

    /// Reads a command line, the program's name not included.
    public func request(_ words: [String]) throws(UsageError) -> Request {
        try request(words[...], path: name)
    }

    private func request(_ words: ArraySlice<String>, path: String) throws(UsageError) -> Request {
        let line = try SplitLine(words, declarations, oneArgument: makeAction == nil)
        // Whoever asks for help gets it, whatever else is wrong.
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
            return try command.request(rest, path: "\(path) \(command.name)")
        }
        guard word == "help" else {
            throw .unknownCommand(word, nearest: nearest(to: word, among: subcommands.map(\.name) + ["help"]))
        }
        return .help(try help(rest, path: path))
    }

    /// The help of the command that `words` lead to from this one.
    private func help(_ words: ArraySlice<String>, path: String) throws(UsageError) -> HelpText {
        guard let word = words.first else { return HelpText(self, path: path) }
        guard let command = subcommands.first(where: { $0.name.utf8.elementsEqual(word.utf8) }) else {
            throw .unknownCommand(word, nearest: nearest(to: word, among: subcommands.map(\.name)))
        }
        return try command.help(words.dropFirst(), path: "\(path) \(command.name)")
    }
}

/// What a command does.
public protocol Action {
    /// Refuses values that are right by themselves but not together. Nothing has happened yet.
    func validate() throws(UsageError)
    /// Does it.
    func run() async throws
}

extension Action {
    /// Everything goes with everything.
    public func validate() throws(UsageError) {}
}
