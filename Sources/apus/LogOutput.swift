import Log
import Node

/// The node's log as `[log]` of its configuration wants it.
enum LogOutput {
    /// How long the end of the process waits for a log that is not read.
    static let patience = Duration.seconds(1)

    /// Starts the log's thread. Whoever calls this ends it with `finish(within: patience)`.
    ///
    /// Throws `LogError` if there can be no log of this kind.
    static func start(_ configuration: Configuration.Log) throws -> (Log, LogWriter) {
        let writer = try LogWriter.start(format(configuration.format))
        return (Log(source: "node", level: level(configuration.level), sink: writer), writer)
    }

    /// The configuration has no other words.
    private static func level(_ name: String) -> Log.Level {
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
