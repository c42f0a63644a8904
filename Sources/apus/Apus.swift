import Arguments
import Execution
import Node

/// The program's command line: `apus COMMAND`. An error is one line on standard error and a non-zero exit status.
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
            // Before anything else runs: the worker confines the whole process.
            guard words.count == 2, words[0] == QueryWorker.command else { return nil }
            return QueryWorker.run(database: words[1])
        }
    }
}
