import Arguments
import Node

/// The simulator's command line: `apus-sim COMMAND`.
@main
enum ApusSim {
    static var command: Command {
        Command(
            "apus-sim", "Simulate whole networks in one process, with faults derived from a seed.",
            subcommands: [
                SimulateCommand.command, FuzzCommand.command, ChainCommand.command, StateCommand.command,
            ])
    }

    static func main() async { await command.main(version: NodeVersion.text) }
}
