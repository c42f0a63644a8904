import Arguments
import Execution
import Node

/// The command line of the node: `apus COMMAND`.
@main
enum Apus {
    static var command: Command {
        Command(
            "apus", "A Kwil-style network node.",
            subcommands: [
                RunCommand.command, InitCommand.command, ConfigCommand.command, KeyCommand.command,
                TestnetCommand.command, StatusCommand.command, ValidatorsCommand.command,
                QueryCommand.command, TransactionCommand.command,
                PingCommand.command, IdentifyCommand.command, GossipCommand.command, PerfCommand.command,
            ])
    }

    static func main() async {
        await command.main(version: NodeVersion.text) { words in
            // A process for queries is confined by what it has not begun.
            guard words.count == 2, words[0] == QueryWorker.command else { return nil }
            return QueryWorker.run(database: words[1])
        }
    }
}
