import Arguments
import Node

/// The command line of the simulator: `apus-sim COMMAND`.
@main
enum ApusSim {
    static var command: Command {
        Command(
            "apus-sim", "Whole networks in one process, with faults from a seed.",
            subcommands: [SimulateCommand.command, FuzzCommand.command])
    }

    static func main() async { await command.main(version: NodeVersion.text) }
}
