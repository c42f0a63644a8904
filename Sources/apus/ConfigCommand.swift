import Arguments
import Bytes
import Execution
import Glibc
import Node

/// `apus config`: prints the configuration's keys and their meaning.
struct ConfigCommand: Action {
    let root: String?
    let isMarkdown: Bool
    let showsLimits: Bool

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
            action: ConfigCommand.init)
    }

    func validate() throws(UsageError) {
        if isMarkdown, root != nil {
            throw .inconsistent("--markdown prints the defaults and cannot be combined with --root")
        }
        if showsLimits, root != nil || isMarkdown {
            throw .inconsistent("--limits cannot be combined with --root or --markdown")
        }
    }

    func run() async throws {
        if showsLimits {
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
