/// What is wrong with a configuration; each description is one line that names the file, line and column, and the key.
public enum ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// A place in a file. Lines and columns count from 1, columns in characters as Unicode counts them (code points).
    public struct Place: Sendable, Equatable, CustomStringConvertible {
        /// As the caller named it.
        public var file: String
        /// From 1; 0 if it is not known.
        public var line: Int
        /// From 1; 0 if it is not known.
        public var column: Int

        /// `file:line:column`.
        public var description: String { "\(file):\(line):\(column)" }
    }

    /// Not TOML, not UTF-8, or a key twice.
    case syntax(Place, String)
    /// A section or key that no version knows.
    case unknownKey(Place, String)
    /// A known key with a value that it cannot have.
    case invalid(Place, key: String, String)

    /// One line.
    public var description: String {
        switch self {
        case .syntax(let place, let reason): "\(place): \(ConfigurationValue.line(reason))"
        case .unknownKey(let place, let key): "\(place): unknown key \(ConfigurationValue.line(key))"
        case .invalid(let place, let key, let reason): "\(place): \(key) \(ConfigurationValue.line(reason))"
        }
    }
}

extension Configuration {
    /// Parses TOML; `file` is only named in errors. Keys that the text leaves out keep their defaults.
    public init(parsing text: [UInt8], file: String) throws(ConfigurationError) {
        func place(_ position: TOMLDocument.Position) -> ConfigurationError.Place {
            .init(file: file, line: position.line, column: position.column)
        }
        self.init()
        let document: TOMLDocument
        do {
            document = try TOMLDocument(text)
        } catch {
            throw .syntax(place(error.position), error.reason)
        }
        for section in document.root {
            guard case .table(let entries) = section.value.content else {
                throw .unknownKey(place(section.position), section.key)
            }
            for entry in entries {
                guard let key = Self.keys.first(where: { $0.isNamed(section.key, entry.key) })
                else { throw .unknownKey(place(entry.position), "\(section.key).\(entry.key)") }
                guard let value = ConfigurationValue(entry.value.content) else {
                    throw .invalid(
                        place(entry.value.position), key: key.path, "has a value of a type that no key takes")
                }
                if let reason = key.write(&self, value) {
                    throw .invalid(place(entry.value.position), key: key.path, reason)
                }
            }
        }
    }

    /// `config.toml` with every key, what it means and this configuration's values.
    public var fileText: String {
        var out = "# Configuration of an Apus node. What is left out has the value shown by `apus config`.\n"
        var section = ""
        for key in Self.keys {
            if key.section != section {
                section = key.section
                out += "\n[\(section)]\n"
            }
            out += "# \(key.summary)\n\(key.name) = \(key.read(self).literal)\n"
        }
        return out
    }

    /// `docs/configuration.md`.
    public static var documentation: String {
        var out = """
            # Configuration

            `config.toml` in the node's root directory; every key has a default. This page is made by
            `apus config --markdown` from the same table as the parser.

            """
        var section = ""
        let defaults = Configuration()
        for key in keys {
            if key.section != section {
                section = key.section
                out += "\n## [\(section)]\n\n| key | default | meaning |\n| --- | --- | --- |\n"
            }
            out += "| `\(key.name)` | `\(key.read(defaults).literal)` | \(key.summary) |\n"
        }
        return out + limits
    }
}

extension ConfigurationValue {
    fileprivate init?(_ content: TOMLDocument.Value.Content) {
        switch content {
        case .string(let text): self = .text(text)
        case .boolean(let flag): self = .flag(flag)
        case .integer(let number): self = .number(Int(number))
        case .array(let values):
            var list: [String] = []
            for value in values {
                guard case .string(let text) = value.content else { return nil }
                list.append(text)
            }
            self = .list(list)
        case .table, .other: return nil
        }
    }
}
