import CShims
import Glibc

/// A command line split by argp, and its first error.
struct SplitLine {
    private let declarations: [Declaration]
    private var options: [(declaration: Declaration, value: String)] = []
    /// The words that are not options, with their positions in the command line.
    private(set) var arguments: [(position: Int, word: String)] = []
    /// The error that ended the splitting.
    private(set) var error: UsageError?

    /// Splits `words`, stopping after the first argument if `oneArgument` is set.
    init(_ words: ArraySlice<String>, _ declarations: [Declaration], oneArgument: Bool) throws(UsageError) {
        self.declarations = declarations
        let known = declarations.filter { $0.kind != .argument }
        for part in try Self.parts(words, known, oneArgument: oneArgument) {
            // argp counts the program's name, which `words` lacks.
            let position = words.startIndex + part.position - 1
            guard words.indices.contains(position) else { break }
            let word = words[position]
            switch part.kind {
            case .argument: arguments.append((position, word))
            case .refused: error = Self.reason(word, known)
            case .option(let index, let value):
                let declaration = known[index]
                let isSeparate = value != nil && !word.utf8.contains(UInt8(ascii: "="))
                if isSeparate, let value, word.hasPrefix("--"), value.hasPrefix("--") {
                    error = .doubtfulValue(option: declaration.shown, value: value)
                }
                options.append((declaration, value ?? ""))
            }
            if error != nil { break }
        }
    }

    func has(_ declaration: Declaration) -> Bool {
        options.contains { $0.declaration.name == declaration.name }
    }

    /// Returns the values given for each declaration. Throws if there are too many.
    func given() throws(UsageError) -> GivenValues {
        if let error { throw error }
        var given = GivenValues()
        for (declaration, value) in options { given.values[declaration.name, default: []].append(value) }
        var places = declarations.filter { $0.kind == .argument }[...]
        for (_, word) in arguments {
            guard let place = places.popFirst() else { throw .unexpectedArgument(word) }
            given.values[place.name] = [word]
        }
        return given
    }

    /// Returns the reason argp rejected a word, which argp does not report.
    private static func reason(_ word: String, _ known: [Declaration]) -> UsageError {
        guard word.hasPrefix("--") else {
            let letters = word.dropFirst()
            guard
                let unknown = letters.first(where: { letter in !known.contains { $0.letter == "\(letter)" } })
            else {
                let last = known.first { $0.letter == letters.last.map { "\($0)" } }
                return .missingValue(option: last?.shown ?? word)
            }
            return .unknownOption("-\(unknown)", nearest: nil)
        }
        let name = word.dropFirst(2).prefix { $0 != "=" }
        guard let declaration = known.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
            return .unknownOption(
                "--\(name)", nearest: nearest(to: String(name), among: known.map(\.name)).map { "--\($0)" })
        }
        return declaration.kind == .flag
            ? .unwantedValue(option: declaration.shown) : .missingValue(option: declaration.shown)
    }

    // MARK: argp

    private struct Part {
        enum Kind {
            case option(Int, value: String?)
            case argument
            case refused
        }

        let kind: Kind
        let position: Int
    }

    private static func parts(
        _ words: ArraySlice<String>, _ known: [Declaration], oneArgument: Bool
    ) throws(UsageError) -> [Part] {
        // The program's name comes first, a null pointer last.
        var texts: [UnsafeMutablePointer<CChar>?] = (["apus"] + words).map { strdup($0) }
        let names = known.map { strdup($0.name) }
        defer { for text in texts + names { free(text) } }
        guard !texts.contains(nil), !names.contains(nil) else { throw .outOfMemory }
        texts.append(nil)
        let options = zip(known, names).map { declaration, name in
            apus_argp_option(
                name: name, letter: declaration.letter?.utf8.first.map { CChar(bitPattern: $0) } ?? 0,
                takes_value: declaration.kind == .option)
        }
        // A word has at most one part per letter.
        let capacity = words.reduce(1) { $0 + max(1, $1.utf8.count) }
        var parts = [apus_argp_part](repeating: apus_argp_part(), count: capacity)
        let count = apus_argp_split(
            options, options.count, oneArgument, Int32(clamping: texts.count - 1), &texts, &parts, capacity)
        guard count <= capacity else { throw .outOfMemory }
        return parts.prefix(count).map { part in
            let kind: Part.Kind =
                switch part.kind {
                case APUS_ARGP_OPTION: .option(part.option, value: part.value.map { String(cString: $0) })
                case APUS_ARGP_ARGUMENT: .argument
                default: .refused
                }
            return Part(kind: kind, position: part.position)
        }
    }
}
