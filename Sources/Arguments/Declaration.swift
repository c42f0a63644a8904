/// An option or argument, as parsing and help need it.
struct Declaration: Sendable {
    enum Kind: Equatable, Sendable {
        /// An option without a value.
        case flag
        /// An option with a value.
        case option
        /// A positional argument.
        case argument
    }

    var kind: Kind
    /// An option's name without dashes, or an argument's placeholder.
    var name: String
    /// An option's short form.
    var letter: String?
    /// The placeholder of an option's value in help.
    var placeholder = ""
    var help: String
    /// The valid values.
    var range: String?
    /// The value if the option is absent.
    var defaultText: String?
    var isRequired = false
    var isRepeated = false
    /// The heading in help; nil for the command's own options.
    var group: String?

    /// The name as errors show it.
    var shown: String { kind == .argument ? name : "--\(name)" }
}

/// A parsed command line: the values given for each declaration.
struct GivenValues {
    /// Values by name; those of flags are empty.
    var values: [String: [String]] = [:]

    func all(_ declaration: Declaration) -> [String] { values[declaration.name] ?? [] }

    /// Returns the only value, or nil if there is none. Throws if there are several.
    func one(_ declaration: Declaration) throws(UsageError) -> String? {
        let given = all(declaration)
        guard given.count <= 1 else { throw .givenTwice(option: declaration.shown) }
        return given.first
    }
}
