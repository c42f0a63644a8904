import Log
import Node

/// The node's log, as the configuration's `[log]` section describes it.
enum LogOutput {
    /// The maximum time that the end of the process waits for the log to be written.
    static let patience = Duration.seconds(1)

    /// Starts the log's thread, which the caller ends with `finish(within: patience)`.
    ///
    /// Throws `LogError` if the log cannot be opened.
    static func start(_ configuration: Configuration.Log) throws -> (Log, LogWriter) {
        let writer = try LogWriter.start(format(configuration.format))
        return (Log(source: "node", level: level(configuration.level), sink: writer), writer)
    }

    /// The configuration accepts only these names and `info`.
    static func level(_ name: String) -> Log.Level {
        switch name {
        case "trace": .trace
        case "debug": .debug
        case "warn": .warning
        case "error": .error
        default: .info
        }
    }

    private static func format(_ name: String) -> LogFormat {
        switch name {
        case "plain": .text
        case "json": .json
        case "journal": .journal
        default: .suited()
        }
    }
}
