import Glibc

/// The encoding of an event as bytes.
///
/// All three formats show values as `EscapedText`, so that a program that displays the log, or a single value
/// taken from it, is as safe as the log itself.
public enum LogFormat: Sendable {
    /// A line for people: `TIME LEVEL SOURCE: MESSAGE NAME=VALUE…`. Values that are empty or contain a space,
    /// an equals sign or a quote are quoted.
    case text
    /// A JSON object per line: `time`, `level`, `source`, `message`, and `data.NAME` for each field.
    case json
    /// An entry of systemd's journal in its native protocol: the message with its fields, and each field
    /// again as `APUS_NAME` with its unescaped bytes.
    case journal

    /// The maximum size of a value, in bytes. Text from peers and reasons are far shorter, and longer values
    /// help nobody.
    static let maximumValue = 4_096

    /// Returns the journal format if systemd has connected `descriptor` to the journal, as the environment
    /// variable JOURNAL_STREAM shows, and the process can reach the journal's socket; otherwise the text format on
    /// a terminal and the JSON format elsewhere, where programs read.
    public static func suited(to descriptor: Int32 = STDERR_FILENO) -> LogFormat {
        suited(to: descriptor, journal: getenv("JOURNAL_STREAM").map { String(cString: $0) })
    }

    static func suited(
        to descriptor: Int32, journal: String?, socket: String = JournalOutput.systemPath
    ) -> LogFormat {
        var status = stat()
        if let journal, fstat(descriptor, &status) == 0, access(socket, W_OK) == 0,
            journal == "\(status.st_dev):\(status.st_ino)"
        {
            return .journal
        }
        return isatty(descriptor) == 1 ? .text : .json
    }

    /// Appends an event as a line, with its line feed, or as an entry.
    func append(_ event: LogEvent, to out: inout [UInt8]) {
        switch self {
        case .text: Self.appendText(event, to: &out)
        case .json: Self.appendJSON(event, to: &out)
        case .journal: Self.appendEntry(event, to: &out)
        }
    }

    // MARK: Text

    private static func appendText(_ event: LogEvent, to out: inout [UInt8]) {
        event.time.append(to: &out)
        out.append(UInt8(ascii: " "))
        out.append(event.level.name)
        out.append(UInt8(ascii: " "))
        out.append(event.source)
        out.append(contentsOf: ": ".utf8)
        appendMessage(event, to: &out)
        out.append(UInt8(ascii: "\n"))
    }

    private static func appendMessage(_ event: LogEvent, to out: inout [UInt8]) {
        out.append(event.message)
        for (name, value) in event.fields.entries {
            out.append(UInt8(ascii: " "))
            out.append(name)
            out.append(UInt8(ascii: "="))
            appendQuoted(value.escaped, to: &out)
        }
    }

    private static func appendQuoted(_ value: [UInt8], to out: inout [UInt8]) {
        let quote = UInt8(ascii: "\"")
        let mustQuote = value.contains { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "=") || $0 == quote }
        guard mustQuote || value.isEmpty else { return out.append(contentsOf: value) }
        out.append(quote)
        for byte in value {
            if byte == quote { out.append(UInt8(ascii: "\\")) }
            out.append(byte)
        }
        out.append(quote)
    }

    // MARK: JSON

    private static func appendJSON(_ event: LogEvent, to out: inout [UInt8]) {
        out.append(contentsOf: #"{"time":""#.utf8)
        event.time.append(to: &out)
        out.append(contentsOf: #"","level":""#.utf8)
        out.append(event.level.name)
        out.append(contentsOf: #"","source":"#.utf8)
        appendJSON(EscapedText(event.source.bytes).utf8, to: &out)
        out.append(contentsOf: #","message":"#.utf8)
        appendJSON(EscapedText(event.message.bytes).utf8, to: &out)
        for (name, value) in event.fields.entries {
            out.append(contentsOf: #",""#.utf8)
            out.append(contentsOf: "data.".utf8)
            out.append(name)
            out.append(contentsOf: #"":"#.utf8)
            switch value {
            case .integer, .unsigned, .flag: out.append(contentsOf: value.escaped)
            case .bytes, .text: appendJSON(value.escaped, to: &out)
            }
        }
        out.append(contentsOf: "}\n".utf8)
    }

    /// Appends a JSON string. Escaped text holds no control characters.
    private static func appendJSON(_ value: [UInt8], to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for byte in value {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { out.append(UInt8(ascii: "\\")) }
            out.append(byte)
        }
        out.append(UInt8(ascii: "\""))
    }

    // MARK: Journal

    private static func appendEntry(_ event: LogEvent, to out: inout [UInt8]) {
        // The severities of syslog.
        let priority =
            switch event.level {
            case .trace, .debug: "7"
            case .info: "6"
            case .warning: "4"
            case .error: "3"
            case .critical: "2"
            }
        var message: [UInt8] = []
        appendMessage(event, to: &message)
        var time: [UInt8] = []
        event.time.append(to: &time)
        appendField("MESSAGE".utf8, message, to: &out)
        appendField("PRIORITY".utf8, Array(priority.utf8), to: &out)
        appendField("SYSLOG_IDENTIFIER".utf8, Array("apus".utf8), to: &out)
        appendField("SYSLOG_TIMESTAMP".utf8, time, to: &out)
        appendField("APUS_SOURCE".utf8, event.source.bytes, to: &out)
        for (name, value) in event.fields.entries {
            appendField(journalName(name), value.raw, to: &out)
        }
    }

    /// Returns `APUS_` and the field's name in the form the journal allows: upper-case letters, digits and
    /// underscores, at most 64.
    private static func journalName(_ name: StaticString) -> [UInt8] {
        var out = Array("APUS_".utf8)
        for byte in name.bytes.prefix(64 - out.count) {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): out.append(byte & 0xDF)
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                out.append(byte)
            default: out.append(UInt8(ascii: "_"))
            }
        }
        return out
    }

    /// Appends `NAME=VALUE` or, if the value contains a line feed, `NAME`, the value's length and the value.
    private static func appendField(
        _ name: some Sequence<UInt8>, _ value: [UInt8], to out: inout [UInt8]
    ) {
        out.append(contentsOf: name)
        if value.contains(UInt8(ascii: "\n")) {
            out.append(UInt8(ascii: "\n"))
            for shift in stride(from: 0, to: 64, by: 8) {
                out.append(UInt8(truncatingIfNeeded: UInt64(value.count) >> UInt64(shift)))
            }
        } else {
            out.append(UInt8(ascii: "="))
        }
        out.append(contentsOf: value)
        out.append(UInt8(ascii: "\n"))
    }
}

extension LogValue {
    /// The unescaped value, truncated to the limit.
    fileprivate var raw: [UInt8] {
        switch self {
        case .bytes(let bytes): Array(bytes.prefix(LogFormat.maximumValue))
        case .text(let text): Array(text.utf8.prefix(LogFormat.maximumValue))
        case .integer(let number): Array(String(number).utf8)
        case .unsigned(let number): Array(String(number).utf8)
        case .flag(let flag): Array((flag ? "true" : "false").utf8)
        }
    }

    /// The value as escaped text. A truncated value ends with a mark that no escape produces.
    fileprivate var escaped: [UInt8] {
        let raw = raw
        var out: [UInt8] = []
        out.reserveCapacity(raw.count)
        EscapedText.append(raw.span, to: &out)
        if let size, size > raw.count { out.append(contentsOf: "\\...(\(size) bytes)".utf8) }
        return out
    }

    /// The size of the whole value, in bytes; nil for a number or flag.
    private var size: Int? {
        switch self {
        case .bytes(let bytes): bytes.count
        case .text(let text): text.utf8.count
        case .integer, .unsigned, .flag: nil
        }
    }
}

extension StaticString {
    fileprivate var bytes: [UInt8] { withUTF8Buffer { Array($0) } }
}

extension [UInt8] {
    fileprivate mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { append(contentsOf: $0) }
    }
}
