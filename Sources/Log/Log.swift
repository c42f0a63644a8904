import Synchronization

/// A logger for one part of the program: the source's name, the minimum level, and the sink that receives the
/// events.
///
/// A value, cheap to copy and safe to use from any thread. An event below the minimum level costs one
/// comparison: neither its fields nor its text are built. Messages are literals in the program; run-time
/// values, and everything that comes from outside, are fields, so no peer's text can pass for the program's
/// own.
///
/// ```swift
/// log.warning("peer banned", ["peer": .of(peer), "seconds": .number(seconds), "reason": .of(reason)])
/// ```
public struct Log: Sendable {
    /// The severity of an event, least severe first.
    public enum Level: UInt8, Sendable, Comparable, CaseIterable {
        /// Every step.
        case trace
        /// For debugging: for example, failed attempts that will be retried.
        case debug
        /// Events an operator may want to follow: blocks, peers.
        case info
        /// Deserves an operator's attention; the node continues as before.
        case warning
        /// A requested operation failed.
        case error
        /// The node cannot continue.
        case critical

        /// Whether `left` is less severe.
        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }

        var name: StaticString {
            switch self {
            case .trace: "trace"
            case .debug: "debug"
            case .info: "info"
            case .warning: "warning"
            case .error: "error"
            case .critical: "critical"
            }
        }
    }

    /// A log that discards everything.
    public static let silent = Log(source: "", threshold: Threshold(.max), sink: nil)

    /// The part of the program that logs.
    public let source: StaticString
    @usableFromInline let threshold: Threshold
    private let sink: (any LogSink)?

    /// Creates a log for `source` that passes events of `level` and above to `sink`.
    public init(source: StaticString, level: Level, sink: any LogSink) {
        self.init(source: source, threshold: Threshold(level.rawValue), sink: sink)
    }

    private init(source: StaticString, threshold: Threshold, sink: (any LogSink)?) {
        self.source = source
        self.threshold = threshold
        self.sink = sink
    }

    /// Returns the same log for another part of the program.
    public func of(_ source: StaticString) -> Log {
        Log(source: source, threshold: threshold, sink: sink)
    }

    /// Changes the minimum level of this log and of all logs made from it or from the same one. Has no effect on a
    /// silent log.
    public func setLevel(_ level: Level) {
        if sink != nil { threshold.value.store(level.rawValue, ordering: .relaxed) }
    }

    /// Returns whether events of this level are logged.
    @inlinable public func takes(_ level: Level) -> Bool {
        level.rawValue >= threshold.value.load(ordering: .relaxed)
    }

    /// Logs a step.
    @inlinable public func trace(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if takes(.trace) { write(.trace, message, fields()) }
    }

    /// Logs an event for debugging.
    @inlinable public func debug(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if takes(.debug) { write(.debug, message, fields()) }
    }

    /// Logs an event that an operator may want to follow.
    @inlinable public func info(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if takes(.info) { write(.info, message, fields()) }
    }

    /// Logs an event that deserves an operator's attention.
    @inlinable public func warning(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if takes(.warning) { write(.warning, message, fields()) }
    }

    /// Logs a failed operation.
    @inlinable public func error(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if takes(.error) { write(.error, message, fields()) }
    }

    /// Logs why the node cannot continue.
    @inlinable public func critical(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if takes(.critical) { write(.critical, message, fields()) }
    }

    /// The raw value of the minimum level, shared by logs that have it in common; a greater value disables them.
    @usableFromInline final class Threshold: Sendable {
        @usableFromInline let value: Atomic<UInt8>
        init(_ value: UInt8) { self.value = Atomic(value) }
    }

    @usableFromInline func write(_ level: Level, _ message: StaticString, _ fields: LogFields) {
        sink?.write(
            LogEvent(time: .now, level: level, source: source, message: message, fields: fields))
    }
}
