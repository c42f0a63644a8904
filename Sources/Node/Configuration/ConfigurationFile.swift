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
        self.init()
        for section in try TOMLDocument(text, file: file).root {
            guard let entries = section.table else { throw .unknownKey(section.place, section.key) }
            for entry in entries {
                guard let key = Self.keys.first(where: { $0.isNamed(section.key, entry.key) })
                else { throw .unknownKey(entry.place, "\(section.key).\(entry.key)") }
                guard let value = entry.value else {
                    throw .invalid(entry.valuePlace, key: key.path, "has a value of an unsupported type")
                }
                if let reason = key.write(&self, value) {
                    throw .invalid(entry.valuePlace, key: key.path, reason)
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

            On SIGHUP (`systemctl reload apus`) a running node reads the file again and takes over the values of the keys marked
            "reload". Of the others, it logs which have changed and wait for a restart. A file with an error changes nothing, and
            the log names the place.

            """
        var section = ""
        let defaults = Configuration()
        for key in keys {
            if key.section != section {
                section = key.section
                out += "\n## [\(section)]\n\n| key | default | | meaning |\n| --- | --- | --- | --- |\n"
            }
            let reload = key.isReloadable ? "reload" : ""
            out += "| `\(key.name)` | `\(key.read(defaults).literal)` | \(reload) | \(key.summary) |\n"
        }
        return out + limits
    }
}
