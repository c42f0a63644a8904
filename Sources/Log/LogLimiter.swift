/// Limits the events that others can cause without bound: those that name a peer, an address, a query or a callback. Each
/// message has an allowance of its own, so that no flood hides what is rare; what exceeds it is counted and reported.
///
/// Events of the program's own accord, such as `block committed`, pass.
struct LogLimiter: Sendable {
    /// How many events of one message pass.
    struct Rate: Sendable {
        /// The number that may come at once.
        let burst: Int
        /// The time after which one more may come.
        let interval: Duration
    }

    /// A flood that lasts a day adds some 20 MB per message. A network whose peers all reconnect stays below the burst.
    static let usual = Rate(burst: 100, interval: .seconds(1))
    /// For `debug` and `trace`, whose reader asked for every step: enough to follow each transaction of a busy node.
    static let detailed = Rate(burst: 10_000, interval: .milliseconds(1))
    /// The time from the first suppressed event of a message to the report of how many there were.
    static let reportTime = Duration.seconds(10)
    /// The fields that name who or what caused an event.
    private static let causes: [StaticString] = ["peer", "address", "query", "callback"]

    private struct Allowance {
        let message: StaticString
        /// When the allowance would be whole again.
        var whole: Duration
        var suppressed = 0
        var reportAt = Duration.zero
    }

    /// By the place of the message in the program's text, so that there are no more than messages in the program.
    private var allowances: [UInt: Allowance] = [:]
    /// The time of the earliest report; nil if nothing was suppressed.
    private var nextReport: Duration?

    /// Returns whether to log an event at `now`, by any clock that does not go back.
    mutating func admits(_ event: LogEvent, now: Duration) -> Bool {
        guard event.message.hasPointerRepresentation, Self.hasCause(event.fields) else { return true }
        let rate = event.level <= .debug ? Self.detailed : Self.usual
        let place = UInt(bitPattern: event.message.utf8Start)
        var allowance = allowances[place] ?? Allowance(message: event.message, whole: now)
        defer { allowances[place] = allowance }
        let whole = max(allowance.whole, now)
        guard whole - now <= rate.interval * (rate.burst - 1) else {
            if allowance.suppressed == 0 {
                allowance.reportAt = now + Self.reportTime
                nextReport = min(nextReport ?? allowance.reportAt, allowance.reportAt)
            }
            allowance.suppressed += 1
            return false
        }
        allowance.whole = whole + rate.interval
        return true
    }

    /// Returns the reports that are due at `now`; all, at the end of the log, if it is nil.
    mutating func reports(now: Duration?) -> [LogFields] {
        guard let next = nextReport else { return [] }
        if let now, now < next { return [] }
        var due: [LogFields] = []
        nextReport = nil
        for (place, allowance) in allowances where allowance.suppressed > 0 {
            if let now, now < allowance.reportAt {
                nextReport = min(nextReport ?? allowance.reportAt, allowance.reportAt)
            } else {
                let count = allowance.suppressed
                due.append(["message": .text("\(allowance.message)"), "events": .number(count)])
                allowances[place]?.suppressed = 0
            }
        }
        return due
    }

    private static func hasCause(_ fields: LogFields) -> Bool {
        fields.entries.contains { entry in causes.contains { entry.name.isEqual(to: $0) } }
    }
}

extension StaticString {
    fileprivate func isEqual(to other: StaticString) -> Bool {
        withUTF8Buffer { bytes in other.withUTF8Buffer { bytes.elementsEqual($0) } }
    }
}
