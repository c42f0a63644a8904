import Execution
import Log
import Reactor

/// The backoff of a block that the machine cannot execute or commit now. Logs a warning once a minute.
struct ExecutionRetry {
    private let log: Log
    private let height: Int64
    private var wait = Duration.seconds(1)
    private var silence = Duration.zero

    /// The longest backoff.
    private static var longestWait: Duration { .seconds(30) }
    /// The time between two warnings.
    private static var complaintInterval: Duration { .seconds(60) }

    init(_ log: Log, height: Int64) {
        self.log = log
        self.height = height
    }

    /// Waits until the next attempt. Throws `error` if another attempt would not help.
    mutating func pause(after error: any Error) async throws {
        guard let failure = error as? ExecutionError, !failure.isLasting else { throw error }
        if failure != .stopped {
            if silence <= .zero {
                silence = Self.complaintInterval
                log.warning(
                    "a block cannot be executed now; this node goes on trying",
                    ["height": .number(height), "reason": .error(failure)])
            }
        }
        let pause = wait
        silence -= pause
        wait = min(wait * 2, Self.longestWait)
        try await Reactor.run { try await Reactor.sleep(for: pause) }
    }
}
