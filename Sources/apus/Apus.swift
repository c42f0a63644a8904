import ArgumentParser
import Node

/// The command line of the node: `apus COMMAND`. Every error is one line on standard error and a non-zero exit.
@main
struct Apus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus", abstract: "A Kwil-style network node.", version: NodeVersion.text,
        subcommands: [
            RunCommand.self, InitCommand.self, ConfigCommand.self, KeyCommand.self, TestnetCommand.self,
            SimulateCommand.self,
            StatusCommand.self, ValidatorsCommand.self, QueryCommand.self, TransactionCommand.self,
            PingCommand.self, IdentifyCommand.self, GossipCommand.self, PerfCommand.self,
        ])

    /// Parses and runs the command. The usage that would follow an error is for `--help` to show.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            let code = exitCode(for: error)
            guard !code.isSuccess else { exit(withError: error) }
            let line = message(for: error).split(separator: "\n").joined(separator: " ")
            if !line.isEmpty { StandardError.print("Error: \(line)") }
            exit(withError: code)
        }
    }
}
