import Foundation
import Logging
import Node

/// The node's log on standard error, one line an event: plain text, or one JSON object.
enum LogOutput {
    /// Sets the process's log up; once, before anything logs.
    static func start(_ configuration: Configuration.Log) {
        let level: Logger.Level =
            configuration.level == "warn" ? .warning : .init(rawValue: configuration.level) ?? .info
        let isJSON = configuration.format == "json"
        LoggingSystem.bootstrap { label in LineLogHandler(label: label, logLevel: level, isJSON: isJSON) }
    }
}

/// Writes each event as one line with one write, so that lines of several threads do not mix.
private struct LineLogHandler: LogHandler {
    let label: String
    var logLevel: Logger.Level
    let isJSON: Bool
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let metadata = self.metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let time = Date().formatted(.iso8601.time(includingFractionalSeconds: true))
        FileHandle.standardError.write(
            Data((isJSON ? json(time, event, metadata) : plain(time, event, metadata)).utf8))
    }

    private func plain(
        _ time: String, _ event: LogEvent, _ metadata: [(key: String, value: Logger.MetadataValue)]
    )
        -> String
    {
        let values = metadata.map { " \($0.key)=\($0.value)" }.joined()
        let line = "\(time) \(event.level) \(label): \(event.message)\(values)"
        return line.split(separator: "\n").joined(separator: " ") + "\n"
    }

    private func json(
        _ time: String, _ event: LogEvent, _ metadata: [(key: String, value: Logger.MetadataValue)]
    )
        -> String
    {
        var object = [
            "time": time, "level": "\(event.level)", "source": label, "message": "\(event.message)",
        ]
        for (key, value) in metadata { object["data.\(key)"] = "\(value)" }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let data = (try? encoder.encode(object)) ?? Data()
        return String(decoding: data, as: UTF8.self) + "\n"
    }
}
