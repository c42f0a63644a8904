/// Why a JSON text or a value in it was refused: one line, in which names from the text are escaped and cut.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public enum Reason: Hashable, Sendable {
        /// The text is not JSON: what was expected, or what is wrong with a text or number.
        case syntax(String)
        /// More arrays and objects around one value than allowed.
        case tooDeep(limit: Int)
        /// Longer than can be read.
        case tooLarge
        /// No memory for it now.
        case outOfMemory
        /// An object names a member twice; the name in quotes.
        case duplicateKey(String)
        /// A member is missing.
        case missing
        /// A member that nothing is known of.
        case unknown
        /// The value is not what it must be: `must be a text`.
        case value(String)
    }

    /// A place in a text, all from 1 but the offset.
    public struct Position: Hashable, Sendable {
        /// Lines end at each line feed.
        public let line: Int
        /// In characters (Unicode scalars).
        public let column: Int
        /// In bytes, from 0.
        public let offset: Int
    }

    /// What is wrong.
    public let reason: Reason
    /// The value's place in the document, `validators[2].power`; empty for the whole.
    public let path: String
    /// Where it is, if that is known: for what is not JSON, and for names that stand twice.
    public let position: Position?

    /// An error of a value at `path`.
    public init(_ reason: Reason, path: String = "", position: Position? = nil) {
        self.reason = reason
        self.path = path
        self.position = position
    }

    /// The reason without the place.
    public var message: String {
        switch reason {
        case .syntax(let text): "not JSON: \(text)"
        case .value(let text): text
        case .tooDeep(let limit): "nested deeper than \(limit)"
        case .tooLarge: "too large to be read"
        case .outOfMemory: "no memory left to read it"
        case .duplicateKey(let name): "duplicate key \(name)"
        case .missing: "is missing"
        case .unknown: "is unknown"
        }
    }

    /// `<path>: <message> (line <l>, column <c>)`, as far as they are known.
    public var description: String {
        let place = position.map { " (line \($0.line), column \($0.column))" } ?? ""
        return path.isEmpty ? message + place : "\(path): \(message)\(place)"
    }

    /// Bytes of a name from outside that an error shows.
    private static let shownBytes = 64

    /// A name in quotes, with what would disturb a log or a terminal escaped, cut to `shownBytes`.
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

    /// The path of a member: `path.name`, or `path["na me"]` for a name that is no plain word.
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
