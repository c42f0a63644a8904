import Arguments
import Execution
import Node
import Reactor

/// The program's command line: `apus COMMAND`. An error is one line on standard error and a non-zero exit status.
@main
enum Apus {
    static var command: Command {
        Command(
            "apus", "A Kwil-style network node.",
            discussion: """
                Exit status: 0 for success, 1 for a failure, 64 for a wrong command line, and 128 plus a signal's number if \
                one ends the command before its work is done. Commands that print a result have --json: the result is then \
                a line of JSON on standard output, and an error is one on standard error, {"error": {"message": …}}, with \
                the code and data of JSON-RPC if a node reported it.
                """,
            subcommands: [
                Subcommand("run", RunCommand.command),
                Subcommand("init", InitCommand.command),
                Subcommand("config", ConfigCommand.command),
                Subcommand("key", KeyCommand.command),
                Subcommand("testnet", TestnetCommand.command),
                Subcommand("status", StatusCommand.command),
                Subcommand("validators", ValidatorsCommand.command),
                Subcommand("query", QueryCommand.command),
                Subcommand("tx", TransactionCommand.command),
                Subcommand("load", LoadCommand.command),
                Subcommand("trace", TraceCommand.command),
                Subcommand("ping", PingCommand.command),
                Subcommand("identify", IdentifyCommand.command),
                Subcommand("gossip", GossipCommand.command),
                Subcommand("perf", PerfCommand.command),
                Subcommand("profile", ProfileCommand.command),
            ])
    }

    static func main() {
        MainThread.run {
            await command.main(version: NodeVersion.text) { words in
                // Before anything else runs: the worker confines the whole process.
                guard words.count == 3, words[0] == QueryWorker.command, let cacheBytes = Int(words[2]) else {
                    return nil
                }
                return QueryWorker.run(database: words[1], cacheBytes: cacheBytes)
            }
        }
    }
}
