/// Where a part of the program says what happens: a source's name, the least severe level that is wanted, fields that
/// every event carries, and the sink that takes them.
///
/// A value, free to copy and to use from any thread. What is below the level costs one comparison: neither fields nor
/// text are built. Messages are written in the program; whatever is not known when it is compiled, and everything
/// that comes from outside, is a field, so that no peer's words pass for the program's own.
///
/// ```swift
/// log.warning("peer banned", ["peer": .of(peer), "seconds": .number(seconds), "reason": .of(reason)])
/// ```
public struct Log: Sendable {
    /// How severe an event is, the least severe first.
    public enum Level: UInt8, Sendable, Comparable, CaseIterable {
        /// Each step.
        case trace
        /// For whoever looks for a mistake: attempts that failed and will be made again.
        case debug
        /// What an operator may want to follow: blocks, peers.
        case info
        /// Worth an operator's eye; the node goes on as before.
        case warning
        /// Something that was asked for has not been done.
        case error
        /// The node cannot go on.
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

    /// Takes nothing.
    public static let silent = Log(source: "", threshold: .max, fields: [:], sink: nil)

    /// The part of the program that speaks.
    public let source: StaticString
    /// The raw value of the least severe level that is written; none is above the highest.
    @usableFromInline let threshold: UInt8
    private let fields: LogFields
    private let sink: (any LogSink)?

    /// A log for `source` that hands events of `level` and above to `sink`.
    public init(source: StaticString, level: Level, sink: any LogSink) {
        self.init(source: source, threshold: level.rawValue, fields: [:], sink: sink)
    }

    private init(source: StaticString, threshold: UInt8, fields: LogFields, sink: (any LogSink)?) {
        self.source = source
        self.threshold = threshold
        self.fields = fields
        self.sink = sink
    }

    /// The same log for another part of the program.
    public func of(_ source: StaticString) -> Log {
        Log(source: source, threshold: threshold, fields: fields, sink: sink)
    }

    /// The same log with fields that come first in each of its events.
    public func with(_ fields: LogFields) -> Log {
        Log(source: source, threshold: threshold, fields: self.fields + fields, sink: sink)
    }

    /// Whether events of this level are written.
    @inlinable public func takes(_ level: Level) -> Bool { level.rawValue >= threshold }

    /// Logs each step.
    @inlinable public func trace(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if takes(.trace) { write(.trace, message, fields()) }
    }

    /// Logs what helps to find a mistake.
    @inlinable public func debug(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if takes(.debug) { write(.debug, message, fields()) }
    }

    /// Logs what an operator may want to follow.
    @inlinable public func info(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if takes(.info) { write(.info, message, fields()) }
    }

    /// Logs what is worth an operator's eye.
    @inlinable public func warning(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if takes(.warning) { write(.warning, message, fields()) }
    }

    /// Logs what has not been done.
    @inlinable public func error(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if takes(.error) { write(.error, message, fields()) }
    }

    /// Logs why the node cannot go on.
    @inlinable public func critical(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if takes(.critical) { write(.critical, message, fields()) }
    }

    @usableFromInline func write(_ level: Level, _ message: StaticString, _ fields: LogFields) {
        sink?.write(
            LogEvent(
                time: .now, level: level, source: source, message: message, fields: self.fields + fields))
    }
}
