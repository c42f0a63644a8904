import Glibc

extension Command {
    /// Runs the program whose command line this is, and ends the process. Every error is one line on standard error and a
    /// non-zero exit.
    ///
    /// - Parameters:
    ///   - version: what `--version` shows.
    ///   - early: runs before anything else of the program. It returns the exit status if that was all there is to do.
    package func main(version: String, early: ([String]) -> Int32? = { _ in nil }) async -> Never {
        // A reader that has gone is an error of the write, not of the process.
        signal(SIGPIPE, SIG_IGN)
        exit(await status(version, early))
    }

    private func status(_ version: String, _ early: ([String]) -> Int32?) async -> Int32 {
        var status: Int32 = 0
        do {
            let words = try ProgramWords.read()
            if let status = early(words) { return status }
            try await perform(try request(words), version)
        } catch {
            status = Self.report(error)
        }
        do {
            try StandardOutput.flush()
        } catch {
            // If that was the error, it has been reported.
            if status == 0 { status = Self.report(error) }
        }
        return status
    }

    private func perform(_ request: Request, _ version: String) async throws {
        switch request {
        case .run(let action): try await action.run()
        case .help(let help):
            try StandardOutput.write(help.text(columns: StandardOutput.columns ?? HelpText.usualColumns))
        case .version: try StandardOutput.print(version)
        }
    }

    private static func report(_ error: any Error) -> Int32 {
        if let status = error as? ExitStatus { return status.code }
        StandardError.print("Error: \(error)")
        return error is UsageError ? UsageError.exitCode : 1
    }
}

/// Ends the program with this status; whatever there is to say has been said.
package struct ExitStatus: Error {
    package let code: Int32

    package init(_ code: Int32) { self.code = code }
}

/// A command that did not do what it was asked to: one line.
package struct CommandFailure: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
