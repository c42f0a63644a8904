import Log
import Mempool
import Reactor

/// Logs which transactions the mempool has dropped: those of this node's clients as one warning per reason and second, because
/// clients can cause any number; each single one at `debug`.
@ReactorActor
final class LossReport {
    /// The time during which losses share a warning.
    private nonisolated static let interval = Duration.seconds(1)

    private let log: Log
    /// How many of clients' transactions have been dropped since the last warning.
    private var own: [Loss.Reason: Int] = [:]
    private var timer: Timer?

    init(_ log: Log) { self.log = log }

    /// Adds losses. A warning follows soon.
    func add(_ losses: [Loss]) {
        for loss in losses where loss.isOwn { own[loss.reason, default: 0] += 1 }
        if !own.isEmpty, timer?.isPending != true {
            timer = Reactor.schedule(after: Self.interval) { [weak self] in self?.write() }
        }
        guard log.takes(.debug) else { return }
        for loss in losses {
            log.debug(
                "transaction dropped",
                ["transaction": .of(loss.id), "reason": .text(loss.reason.description)])
        }
    }

    /// Writes the warnings that are due, at the end of the service too.
    func write() {
        timer?.cancel()
        for reason in Loss.Reason.allCases {
            guard let count = own[reason] else { continue }
            log.warning(
                "unconfirmed transactions of clients dropped",
                ["count": .number(count), "reason": .text(reason.description)])
        }
        own = [:]
    }
}
