import Glibc
import JSON

extension Command {
    /// Runs the program with this command line, and ends the process. An error is one line on standard error and a
    /// non-zero exit status. With `--json`, the line is an object whose member `error` has a `message` and whatever else
    /// a `ReportedError` tells.
    ///
    /// - Parameters:
    ///   - version: The text that `--version` prints.
    ///   - early: Runs before anything else. If it returns an exit status, nothing else runs.
    package func main(version: String, early: ([String]) -> Int32? = { _ in nil }) async -> Never {
        // Writing to a closed pipe returns an error instead of ending the process.
        signal(SIGPIPE, SIG_IGN)
        exit(await status(version, early))
    }

    private func status(_ version: String, _ early: ([String]) -> Int32?) async -> Int32 {
        var status: Int32 = 0
        var form = OutputForm.text
        do {
            let words = try ProgramWords.read()
            if let status = early(words) { return status }
            form = .of(words)
            try await perform(try request(words), version)
        } catch {
            status = Self.report(error, form)
        }
        do {
            try StandardOutput.flush()
        } catch {
            // If the output caused the error, it is already reported.
            if status == 0 { status = Self.report(error, form) }
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

    private static func report(_ error: any Error, _ form: OutputForm) -> Int32 {
        if let status = error as? ExitStatus { return status.code }
        switch form {
        case .text: StandardError.print("Error: \(error)")
        case .json:
            StandardError.print(
                JSONLine.object { line in
                    line.name("error")
                    if let error = error as? any ReportedError {
                        error.write(to: &line)
                    } else {
                        line.object { $0.member("message", text: "\(error)") }
                    }
                })
        }
        return error is UsageError ? UsageError.exitCode : 1
    }
}

/// An error that tells a program more than its message.
package protocol ReportedError: Error {
    /// Writes an object with a member `message`.
    func write(to writer: inout JSONWriter)
}

/// Ends the program with an exit status and no further message.
package struct ExitStatus: Error {
    package let code: Int32

    package init(_ code: Int32) { self.code = code }
}

/// The failure of a command, described in one line.
package struct CommandFailure: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
