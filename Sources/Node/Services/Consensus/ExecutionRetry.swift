import Execution
import Log
import Reactor

/// Waits, longer each time, for a machine that cannot execute or commit a block now, and says so once a minute.
struct ExecutionRetry {
    private let log: Log
    private let height: Int64
    private var wait = Duration.seconds(1)
    private var silence = Duration.zero

    /// Longest wait between two attempts.
    private static var longestWait: Duration { .seconds(30) }
    /// Between two warnings.
    private static var complaintInterval: Duration { .seconds(60) }

    init(_ log: Log, height: Int64) {
        self.log = log
        self.height = height
    }

    /// Returns when it is time for the next attempt; throws what failed if no attempt can go better.
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
