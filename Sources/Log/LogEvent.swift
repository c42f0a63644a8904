/// An event to log.
public struct LogEvent: Sendable {
    /// When it happened.
    public let time: LogTime
    /// Its severity.
    public let level: Log.Level
    /// The part of the program that logs it.
    public let source: StaticString
    /// What happened, as a literal of the program.
    public let message: StaticString
    /// The details: peers, values, reasons.
    public let fields: LogFields
}

/// Receives events on any thread. It must not block, because the reactor logs.
public protocol LogSink: AnyObject, Sendable {
    /// Receives one event.
    func write(_ event: LogEvent)
}

/// The named values of an event, in order. Names are literals: lower-case words, joined by underscores.
public struct LogFields: Sendable, ExpressibleByDictionaryLiteral {
    /// The names and values.
    public let entries: [(name: StaticString, value: LogValue)]

    /// Creates fields in this order.
    public init(dictionaryLiteral elements: (StaticString, LogValue)...) {
        entries = elements.map { (name: $0.0, value: $0.1) }
    }
}

/// The value of a field. Text and bytes may come from anywhere: each format escapes them.
public enum LogValue: Sendable {
    /// Bytes that are usually UTF-8.
    case bytes([UInt8])
    /// Text.
    case text(String)
    /// A number.
    case integer(Int64)
    /// A number that may exceed `Int64.max`.
    case unsigned(UInt64)
    /// True or false.
    case flag(Bool)

    /// Returns a value's description: a peer, a hash, an address, a typed error.
    public static func of(_ value: some CustomStringConvertible) -> LogValue { .text(value.description) }

    /// Returns an error's description.
    public static func error(_ error: any Error) -> LogValue { .text("\(error)") }

    /// Returns a number, clamped to 64 bits.
    public static func number(_ number: some BinaryInteger) -> LogValue {
        if let signed = Int64(exactly: number) { return .integer(signed) }
        return number < 0 ? .integer(.min) : .unsigned(UInt64(clamping: number))
    }
}
