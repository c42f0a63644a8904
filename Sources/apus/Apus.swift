import ArgumentParser
import Node

/// The command line of the node: `apus COMMAND`. Every error is one line on standard error and a non-zero exit.
@main
struct Apus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus", abstract: "A Kwil-style network node.", version: NodeVersion.text,
        subcommands: [
            RunCommand.self, InitCommand.self, ConfigCommand.self, KeyCommand.self, TestnetCommand.self,
            StatusCommand.self, QueryCommand.self, TransactionCommand.self, PingCommand.self,
            IdentifyCommand.self, PerfCommand.self,
        ])
}
