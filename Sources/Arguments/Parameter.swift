/// An option, flag, argument or group of them, as a command declares it, and how to read its value.
public struct Parameter<Value> {
    let declarations: [Declaration]
    let read: (GivenValues) throws(UsageError) -> Value
}

extension Parameter {
    /// Declares an optional option, whose default help shows.
    public static func option(
        _ name: String, letter: String? = nil, _ syntax: Syntax<Value>, default value: Value,
        _ help: String
    ) -> Parameter {
        var declaration = Declaration(option: name, letter, syntax, help)
        declaration.defaultText = syntax.text(value)
        return Parameter(declaration) { given throws(UsageError) in
            try given.one(declaration, syntax) ?? value
        }
    }

    /// Declares a required option.
    public static func required(
        _ name: String, letter: String? = nil, _ syntax: Syntax<Value>, _ help: String
    ) -> Parameter {
        Parameter(required: Declaration(option: name, letter, syntax, help), syntax)
    }

    /// Declares an optional option without a default; nil if absent.
    public static func option<Wrapped>(
        _ name: String, letter: String? = nil, _ syntax: Syntax<Wrapped>, _ help: String
    ) -> Parameter where Value == Wrapped? {
        let declaration = Declaration(option: name, letter, syntax, help)
        return Parameter(declaration) { given throws(UsageError) in try given.one(declaration, syntax) }
    }

    /// Declares an option that may be repeated.
    public static func repeated<Element>(
        _ name: String, letter: String? = nil, _ syntax: Syntax<Element>, _ help: String
    ) -> Parameter where Value == [Element] {
        var declaration = Declaration(option: name, letter, syntax, help)
        declaration.isRepeated = true
        return Parameter(declaration) { given throws(UsageError) in
            var values: [Element] = []
            for text in given.all(declaration) { values.append(try syntax.value(text, of: declaration)) }
            return values
        }
    }

    /// Declares a required argument, named by `syntax`.
    public static func argument(_ syntax: Syntax<Value>, _ help: String) -> Parameter {
        Parameter(required: Declaration(argument: syntax, help), syntax)
    }

    /// Declares an optional argument, named by `syntax`. It must follow all required ones.
    public static func argument<Wrapped>(_ syntax: Syntax<Wrapped>, _ help: String) -> Parameter
    where Value == Wrapped? {
        let declaration = Declaration(argument: syntax, help)
        return Parameter(declaration) { given throws(UsageError) in try given.one(declaration, syntax) }
    }

    /// Declares parameters shared by several commands, under their own heading in help.
    public static func group<each Member>(
        _ heading: String, _ members: repeat Parameter<each Member>,
        make: @escaping (repeat each Member) -> Value
    ) -> Parameter {
        var declarations: [Declaration] = []
        for member in repeat each members {
            declarations += member.declarations.map { declaration in
                var declaration = declaration
                declaration.group = declaration.group ?? heading
                return declaration
            }
        }
        return Parameter(declarations: declarations) { given throws(UsageError) in
            make(repeat try (each members).read(given))
        }
    }

    private init(
        _ declaration: Declaration, read: @escaping (GivenValues) throws(UsageError) -> Value
    ) {
        self.init(declarations: [declaration], read: read)
    }

    private init(required declaration: Declaration, _ syntax: Syntax<Value>) {
        var declaration = declaration
        declaration.isRequired = true
        self.init(declaration) { [declaration] given throws(UsageError) in
            guard let value = try given.one(declaration, syntax) else { throw .missing(declaration.shown) }
            return value
        }
    }
}

extension Parameter where Value == Bool {
    /// Declares an option without a value.
    public static func flag(_ name: String, _ help: String) -> Parameter {
        let declaration = Declaration(kind: .flag, name: name, help: help)
        return Parameter(declaration) { given throws(UsageError) in try given.one(declaration) != nil }
    }

    /// Declares two options without a value, `--name` (the default) and `--no-name`.
    public static func flag(_ name: String, orNo help: String, _ helpForNo: String) -> Parameter {
        let yes = Declaration(kind: .flag, name: name, help: help, defaultText: "yes")
        let no = Declaration(kind: .flag, name: "no-\(name)", help: helpForNo)
        return Parameter(declarations: [yes, no]) { given throws(UsageError) in
            let (isYes, isNo) = (try given.one(yes) != nil, try given.one(no) != nil)
            guard !isYes || !isNo else {
                throw .inconsistent("\(yes.shown) and \(no.shown) exclude each other")
            }
            return !isNo
        }
    }
}

extension GivenValues {
    /// Returns the parsed value, or nil if there is none.
    fileprivate func one<Value>(
        _ declaration: Declaration, _ syntax: Syntax<Value>
    ) throws(UsageError) -> Value? {
        guard let text = try one(declaration) else { return nil }
        return try syntax.value(text, of: declaration)
    }
}

extension Syntax {
    fileprivate func value(_ text: String, of declaration: Declaration) throws(UsageError) -> Value {
        guard let value = parse(text) else {
            throw .invalidValue(name: declaration.shown, value: text, expected: expected)
        }
        return value
    }
}

extension Declaration {
    fileprivate init<Value>(
        option name: String, _ letter: String?, _ syntax: Syntax<Value>, _ help: String
    ) {
        self.init(
            kind: .option, name: name, letter: letter, placeholder: syntax.placeholder, help: help,
            range: syntax.range)
    }

    fileprivate init<Value>(argument syntax: Syntax<Value>, _ help: String) {
        self.init(kind: .argument, name: syntax.placeholder, help: help, range: syntax.range)
    }
}
