import Arguments
import Node

/// `apus config`: the configuration's keys with what they mean.
struct ConfigCommand: Action {
    let root: String?
    let isMarkdown: Bool

    static var command: Command {
        Command(
            "config", "Print config.toml with every key, its meaning and value.",
            .option(
                "root", .path("DIRECTORY"),
                "Root directory whose configuration to print, in place of the defaults."),
            .flag("markdown", "Print the reference in Markdown instead."),
            action: ConfigCommand.init)
    }

    func run() async throws {
        if isMarkdown {
            try StandardOutput.write(Configuration.documentation)
        } else {
            let configuration = try root.map { try RootDirectory($0).configuration() } ?? Configuration()
            try StandardOutput.write(configuration.fileText)
        }
    }
}
