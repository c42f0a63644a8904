import Arguments
import Execution
import Glibc
import Node

/// The program's command line: `apus COMMAND`. An error is one line on standard error and a non-zero exit status.
@main
enum Apus {
    static var command: Command {
        Command(
            "apus", "A Kwil-style network node.",
            subcommands: [
                RunCommand.command, InitCommand.command, ConfigCommand.command, KeyCommand.command,
                TestnetCommand.command, SimulateCommand.command, FuzzCommand.command,
                StatusCommand.command, ValidatorsCommand.command, QueryCommand.command,
                TransactionCommand.command,
                PingCommand.command, IdentifyCommand.command, GossipCommand.command, PerfCommand.command,
            ])
    }

    static func main() async {
        // Writing to a closed pipe returns an error instead of ending the process.
        signal(SIGPIPE, SIG_IGN)
        exit(await status())
    }

    /// Runs the command line. Returns the process's exit status.
    private static func status() async -> Int32 {
        var status: Int32 = 0
        do {
            let words = try ProgramWords.read()
            // Before anything else runs: the worker confines the whole process.
            if words.count == 2, words[0] == QueryWorker.command {
                return QueryWorker.run(database: words[1])
            }
            try await perform(try command.request(words))
        } catch {
            status = report(error)
        }
        do {
            try StandardOutput.flush()
        } catch {
            // If the output caused the error, it is already reported.
            if status == 0 { status = report(error) }
        }
        return status
    }

    private static func report(_ error: any Error) -> Int32 {
        if let status = error as? ExitStatus { return status.code }
        StandardError.print("Error: \(error)")
        return error is UsageError ? UsageError.exitCode : 1
    }

    private static func perform(_ request: Command.Request) async throws {
        switch request {
        case .run(let action): try await action.run()
        case .help(let help):
            try StandardOutput.write(help.text(columns: StandardOutput.columns ?? HelpText.usualColumns))
        case .version: try StandardOutput.print(NodeVersion.text)
        }
    }
}

/// Ends the program with an exit status and no further message.
struct ExitStatus: Error {
    let code: Int32

    init(_ code: Int32) { self.code = code }
}

/// The failure of a command, described in one line.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
