import ArgumentParser
import Node

/// `apus config`: the configuration's keys with what they mean.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Print config.toml with every key, its meaning and value.")

    @Option(help: "Root directory whose configuration to print; default: the defaults.")
    var root: String?

    @Flag(help: "Print the reference in Markdown instead.")
    var markdown = false

    func run() throws {
        if markdown {
            print(Configuration.documentation, terminator: "")
        } else {
            let configuration = try root.map { try RootDirectory($0).configuration() } ?? Configuration()
            print(configuration.fileText, terminator: "")
        }
    }
}
