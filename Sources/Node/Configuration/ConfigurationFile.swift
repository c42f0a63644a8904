/// An error in a configuration file. Each description is one line with the file, line, column and key.
public enum ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// A place in a file. Lines and columns count from 1, columns in code points; 0 means unknown.
    public struct Place: Sendable, Equatable, CustomStringConvertible {
        /// The name that the caller gave.
        public var file: String
        /// The line.
        public var line: Int
        /// The column.
        public var column: Int

        /// `file:line:column`.
        public var description: String { "\(file):\(line):\(column)" }
    }

    /// Invalid TOML, invalid UTF-8, or a duplicate key.
    case syntax(Place, String)
    /// An unknown section or key.
    case unknownKey(Place, String)
    /// A value that its key does not allow.
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
    /// Parses TOML. `file` appears in errors only. Missing keys keep their defaults.
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
                        place(entry.value.position), key: key.path, "has a value of an unsupported type")
                }
                if let reason = key.write(&self, value) {
                    throw .invalid(place(entry.value.position), key: key.path, reason)
                }
            }
        }
    }

    /// The text of a `config.toml` with every key, its meaning and this configuration's values.
    public var fileText: String {
        var out = "# Configuration of an Apus node. `apus config` shows the defaults of missing keys.\n"
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

    /// The text of `docs/configuration.md`.
    public static var documentation: String {
        var out = """
            # Configuration

            `config.toml` in the node's root directory; every key has a default. This page is generated
            by `apus config --markdown` from the parser's table.

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
