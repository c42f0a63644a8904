import TOMLKit

/// What is wrong with a configuration; each description is one line that names the file and the key.
public enum ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// Not TOML; `line` counts from 1.
    case syntax(file: String, line: Int, String)
    /// A section or key that no version knows.
    case unknownKey(file: String, String)
    /// A known key with a value that it cannot have.
    case invalid(file: String, key: String, String)

    /// One line.
    public var description: String {
        switch self {
        case .syntax(let file, let line, let reason): "\(file):\(line): \(reason)"
        case .unknownKey(let file, let key): "\(file): unknown key \(key)"
        case .invalid(let file, let key, let reason): "\(file): \(key) \(reason)"
        }
    }
}

extension Configuration {
    /// Parses TOML text; `file` is only named in errors. Keys that the text leaves out keep their defaults.
    public init(parsing text: String, file: String) throws(ConfigurationError) {
        self.init()
        let root: TOMLTable
        do {
            root = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw .syntax(file: file, line: error.source.begin.line, error.description)
        } catch {
            throw .syntax(file: file, line: 0, "\(error)")
        }
        for section in root.keys.sorted() {
            guard let table = root[section]?.table else { throw .unknownKey(file: file, section) }
            for name in table.keys.sorted() {
                guard let key = Self.keys.first(where: { $0.section == section && $0.name == name })
                else { throw .unknownKey(file: file, "\(section).\(name)") }
                guard let value = table[name].flatMap(ConfigurationValue.init(toml:)) else {
                    throw .invalid(file: file, key: key.path, "has a value of a type that no key takes")
                }
                if let reason = key.write(&self, value) {
                    throw .invalid(file: file, key: key.path, reason)
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
        return out
    }
}

extension ConfigurationValue {
    fileprivate init?(toml value: some TOMLValueConvertible) {
        if let text = value.string {
            self = .text(text)
        } else if let flag = value.bool {
            self = .flag(flag)
        } else if let number = value.int {
            self = .number(number)
        } else if let array = value.array {
            var list: [String] = []
            for index in 0..<array.count {
                guard let text = array[index].string else { return nil }
                list.append(text)
            }
            self = .list(list)
        } else {
            return nil
        }
    }
}
