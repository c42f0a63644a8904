/// The reason a JSON text or a value in it was rejected: one line, in which names from the text are escaped
/// and truncated.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public enum Reason: Hashable, Sendable {
        /// The text is not JSON; says what was expected, or what is wrong with a string or number.
        case syntax(String)
        /// Arrays and objects are nested too deeply.
        case tooDeep(limit: Int)
        /// The text is too long to parse.
        case tooLarge
        /// Not enough memory.
        case outOfMemory
        /// An object repeats a name, given here in quotes.
        case duplicateKey(String)
        /// A required member is missing.
        case missing
        /// An unknown member.
        case unknown
        /// The value is invalid: `must be a string`.
        case value(String)
    }

    /// A position in a text, counted from 1 except for the offset.
    public struct Position: Hashable, Sendable {
        /// The line, delimited by line feeds.
        public let line: Int
        /// The column, in Unicode scalars.
        public let column: Int
        /// The offset in bytes, from 0.
        public let offset: Int
    }

    /// What is wrong.
    public let reason: Reason
    /// The value's path, such as `validators[2].power`; empty for the whole document.
    public let path: String
    /// The position, if known: for syntax errors and repeated names.
    public let position: Position?

    /// Creates an error about the value at `path`.
    public init(_ reason: Reason, path: String = "", position: Position? = nil) {
        self.reason = reason
        self.path = path
        self.position = position
    }

    /// The reason without path and position.
    public var message: String {
        switch reason {
        case .syntax(let text): "not JSON: \(text)"
        case .value(let text): text
        case .tooDeep(let limit): "nested deeper than \(limit)"
        case .tooLarge: "too large to read"
        case .outOfMemory: "not enough memory to read it"
        case .duplicateKey(let name): "duplicate key \(name)"
        case .missing: "is missing"
        case .unknown: "is unknown"
        }
    }

    /// `<path>: <message> (line <l>, column <c>)`, as far as known.
    public var description: String {
        let place = position.map { " (line \($0.line), column \($0.column))" } ?? ""
        return path.isEmpty ? message + place : "\(path): \(message)\(place)"
    }

    /// The number of bytes of a name that an error shows.
    private static let shownBytes = 64

    /// Returns a name in quotes, truncated to `shownBytes`, with characters that would disturb a log or
    /// terminal escaped.
    static func quoted(_ name: UnsafeRawBufferPointer) -> String {
        var text = "\""
        for scalar in String(decoding: name.prefix(shownBytes), as: UTF8.self).unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned:
                text += "\\u{\(String(scalar.value, radix: 16))}"
            default:
                if scalar == "\"" || scalar == "\\" { text += "\\" }
                text.unicodeScalars.append(scalar)
            }
        }
        return text + (name.count > shownBytes ? "…\"" : "\"")
    }

    /// Returns the path of a member: `path.name`, or `path["na me"]` if the name is not a plain word.
    static func joined(_ path: String, _ name: UnsafeRawBufferPointer) -> String {
        let isPlain =
            !name.isEmpty && name.count <= shownBytes
            && name.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"),
                    UInt8(ascii: "@"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
        guard isPlain else { return "\(path)[\(quoted(name))]" }
        let text = String(decoding: name, as: UTF8.self)
        return path.isEmpty ? text : "\(path).\(text)"
    }
}
