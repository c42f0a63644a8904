import Bytes

/// A message to the service manager, as sd_notify(3) documents it: one line of a datagram.
public enum Notification: Sendable, Equatable {
    /// The service serves: it has started, or has reloaded its configuration.
    case ready
    /// The service reloads its configuration since this time of `CLOCK_MONOTONIC`. `ready` follows.
    case reloading(since: Duration)
    /// The service is stopping.
    case stopping
    /// What the service is doing, for people. Only the first line is sent, at most `statusLimit` bytes of it.
    case status(String)
    /// The service is not stuck.
    case watchdog
    /// The time limit of the current start or stop begins anew, with this length.
    case extendTimeout(Duration)

    /// The maximum size of a status, in bytes: it is shown on one line.
    static let statusLimit = 256

    /// The line, without a line feed.
    var line: String {
        switch self {
        case .ready: "READY=1"
        case .reloading(let time): "RELOADING=1\nMONOTONIC_USEC=\(Self.microseconds(time))"
        case .stopping: "STOPPING=1"
        case .status(let text): "STATUS=\(Self.oneLine(text))"
        case .watchdog: "WATCHDOG=1"
        case .extendTimeout(let time): "EXTEND_TIMEOUT_USEC=\(Self.microseconds(time))"
        }
    }

    /// Whether the service manager must get the message: it waits for it, while others are repeated.
    var isEssential: Bool {
        switch self {
        case .ready, .reloading, .stopping: true
        case .status, .watchdog, .extendTimeout: false
        }
    }

    /// Encodes a datagram.
    static func datagram(_ notifications: [Notification]) -> [UInt8] {
        Array(notifications.map(\.line).joined(separator: "\n").utf8)
    }

    private static func microseconds(_ time: Duration) -> Int64 { max(0, time.nanoseconds / 1000) }

    private static func oneLine(_ text: String) -> String {
        RawText(decoding: text.utf8.prefix { $0 != UInt8(ascii: "\n") }).prefix(statusLimit).string
    }
}
