/// Takes events, on whatever thread they happen. It must not wait for anything: the reactor logs.
public protocol LogSink: AnyObject, Sendable {
    /// Takes one event.
    func write(_ event: LogEvent)
}

/// Something that happened.
public struct LogEvent: Sendable {
    /// When.
    public let time: LogTime
    /// How severe it is.
    public let level: Log.Level
    /// The part of the program that says so.
    public let source: StaticString
    /// What happened, in the program's own words.
    public let message: StaticString
    /// To whom, with what, why.
    public let fields: LogFields
}

/// The named values of an event, in the order written. A name is written in the program: a lower-case word, or words
/// with underscores between them.
public struct LogFields: Sendable, ExpressibleByDictionaryLiteral {
    /// Name and value of each.
    public private(set) var entries: [(name: StaticString, value: LogValue)]

    /// Fields in this order.
    public init(dictionaryLiteral elements: (StaticString, LogValue)...) {
        entries = elements.map { (name: $0.0, value: $0.1) }
    }

    /// Both, one after the other.
    public static func + (left: LogFields, right: LogFields) -> LogFields {
        if left.entries.isEmpty { return right }
        if right.entries.isEmpty { return left }
        var all = left
        all.entries += right.entries
        return all
    }
}

/// A value of a field. Text and bytes may come from anywhere: each format escapes them.
public enum LogValue: Sendable {
    /// Bytes that should be UTF-8 and need not be.
    case bytes([UInt8])
    /// Text.
    case text(String)
    /// A number.
    case integer(Int64)
    /// A number that may be above the largest signed one.
    case unsigned(UInt64)
    /// Yes or no.
    case flag(Bool)

    /// A value's description: a peer, a hash, an address, a typed error.
    public static func of(_ value: some CustomStringConvertible) -> LogValue { .text(value.description) }

    /// An error's description.
    public static func error(_ error: any Error) -> LogValue { .text("\(error)") }

    /// A number, held to what 64 bits can say.
    public static func number(_ number: some BinaryInteger) -> LogValue {
        if let signed = Int64(exactly: number) { return .integer(signed) }
        return number < 0 ? .integer(.min) : .unsigned(UInt64(clamping: number))
    }
}
