/// An option or argument as splitting and help see it.
struct Declaration: Sendable {
    enum Kind: Equatable, Sendable {
        /// Without a value.
        case flag
        /// With a value.
        case option
        /// Known by its place.
        case argument
    }

    var kind: Kind
    /// Of an option, without dashes; of an argument, what stands for it in help.
    var name: String
    /// Short form of an option.
    var letter: String?
    /// What stands for an option's value in help.
    var placeholder = ""
    var help: String
    /// Which values there are.
    var range: String?
    /// The value without the option.
    var defaultText: String?
    var isRequired = false
    var isRepeated = false
    /// Heading in help; nil for the command's own options.
    var group: String?

    /// The name as it is written, for errors.
    var shown: String { kind == .argument ? name : "--\(name)" }
}

/// A command line after splitting: what was given for each declaration.
struct GivenValues {
    /// Values by name; a flag's are empty texts.
    var values: [String: [String]] = [:]

    func all(_ declaration: Declaration) -> [String] { values[declaration.name] ?? [] }

    /// The only value; refuses more than one.
    func one(_ declaration: Declaration) throws(UsageError) -> String? {
        let given = all(declaration)
        guard given.count <= 1 else { throw .givenTwice(option: declaration.shown) }
        return given.first
    }
}
