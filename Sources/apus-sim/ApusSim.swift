import Arguments
import Node
import Reactor

/// The simulator's command line: `apus-sim COMMAND`.
@main
enum ApusSim {
    static var command: Command {
        Command(
            "apus-sim", "Simulate whole networks in one process, with faults derived from a seed.",
            subcommands: [
                Subcommand("simulate", SimulateCommand.command), Subcommand("fuzz-sql", FuzzCommand.command),
                Subcommand("chain", ChainCommand.command), Subcommand("state", StateCommand.command),
            ])
    }

    static func main() { MainThread.run { await command.main(version: NodeVersion.text) } }
}
