import Arguments
import Bytes
import Execution
import Glibc
import JSON
import Node

/// `apus config`: prints the configuration's keys and their meaning.
struct ConfigCommand: Action {
    let root: String?
    let isMarkdown: Bool
    let showsLimits: Bool
    let output: OutputForm

    static var command: Command {
        Command(
            "config", "Print config.toml with every key, its meaning and value.",
            .option(
                "root", .path("DIRECTORY"),
                "Print the configuration of this root directory instead of the defaults."),
            .flag("markdown", "Print a reference in Markdown instead."),
            .flag(
                "limits",
                "Print the costs and limits of SQL statements instead. They are the same on all nodes of a network."
            ),
            OutputForm.parameter,
            action: ConfigCommand.init)
    }

    func validate() throws(UsageError) {
        if isMarkdown, root != nil {
            throw .inconsistent("--markdown prints the defaults and cannot be combined with --root")
        }
        if output == .json, isMarkdown { throw .inconsistent("--markdown and --json exclude each other") }
        if showsLimits, root != nil || isMarkdown {
            throw .inconsistent("--limits cannot be combined with --root or --markdown")
        }
    }

    func run() async throws {
        if output == .json {
            try StandardOutput.print(showsLimits ? .limits : .configuration(try configuration))
        } else if showsLimits {
            try StandardOutput.write(CostModel.documentation)
        } else if isMarkdown {
            try StandardOutput.write(Configuration.documentation)
        } else {
            try StandardOutput.write(try configuration.fileText)
        }
    }

    private var configuration: Configuration {
        get throws {
            guard let root else { return Configuration() }
            // A directory without config.toml has the defaults; a missing directory is an error.
            guard access(root, X_OK) == 0 else {
                throw CommandFailure("\(root): \(SystemErrorText.of(errno))")
            }
            return try RootDirectory(root).configuration()
        }
    }
}

extension JSONLine {
    /// Each section as an object, with its keys and their values.
    fileprivate static func configuration(_ configuration: Configuration) -> JSONLine {
        .object { line in
            var section = ""
            for key in Configuration.keys {
                if key.section != section {
                    if !section.isEmpty { line.endObject() }
                    section = key.section
                    line.name(section)
                    line.beginObject()
                }
                line.name(key.name)
                line.value(key.read(configuration))
            }
            if !section.isEmpty { line.endObject() }
        }
    }

    fileprivate static var limits: JSONLine {
        .object { line in
            line.array("figures", of: CostModel.figures) { list, figure in
                list.object {
                    $0.member("name", text: figure.name)
                    $0.member("value", integer: figure.value)
                    $0.member("unit", text: figure.unit)
                    $0.member("reason", text: figure.reason)
                }
            }
            line.array("widths", of: CostModel.widths) { list, width in
                list.object {
                    $0.member("bytes", integer: width.bytes)
                    $0.member("price", integer: width.price)
                }
            }
        }
    }
}

extension JSONWriter {
    fileprivate mutating func value(_ value: ConfigurationValue) {
        switch value {
        case .text(let text): self.text(text)
        case .list(let list): array { for text in list { $0.text(text) } }
        case .flag(let flag): self.flag(flag)
        case .number(let number): integer(number)
        }
    }
}
