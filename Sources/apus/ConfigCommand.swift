import Arguments
import Execution
import Glibc
import Node

/// `apus config`: the configuration's keys with what they mean.
struct ConfigCommand: Action {
    let root: String?
    let isMarkdown: Bool
    let showsLimits: Bool

    static var command: Command {
        Command(
            "config", "Print config.toml with every key, its meaning and value.",
            .option(
                "root", .path("DIRECTORY"),
                "Root directory whose configuration to print, in place of the defaults."),
            .flag("markdown", "Print the reference in Markdown instead."),
            .flag(
                "limits",
                "Print what SQL statements cost and may cost instead: the same on all nodes of a network."),
            action: ConfigCommand.init)
    }

    func validate() throws(UsageError) {
        if isMarkdown, root != nil { throw .inconsistent("--markdown is of the defaults: no --root") }
        if showsLimits, root != nil || isMarkdown {
            throw .inconsistent("--limits is of no configuration: neither --root nor --markdown")
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
            // A directory without a file has the defaults; no directory is a mistake.
            guard access(root, X_OK) == 0 else {
                throw CommandFailure("\(root): \(String(cString: strerror(errno)))")
            }
            return try RootDirectory(root).configuration()
        }
    }
}
