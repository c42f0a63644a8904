import LibP2P
import Reactor

/// How long the ends of a stream that stays open may keep each other waiting. A machine.
struct StreamPatience {
    /// What this end waits for.
    enum Wait: Int, CaseIterable {
        /// The rest of a frame that has begun.
        case frame
        /// Room for what is being written.
        case write
        /// Any of what was asked for.
        case answer
        /// The next frame.
        case silence
    }

    /// A frame and what is written take no longer than a transaction may on a stream of its own. What was asked for
    /// has longer: the peer's disk or another's slow reading may stand before it.
    private static let stall = Duration.seconds(60)

    private let silence: Duration
    private var deadlines: [Duration?] = Array(repeating: nil, count: Wait.allCases.count)

    /// - Parameter silence: how long nothing at all may be said.
    init(silence: Duration) { self.silence = silence }

    /// Begins to wait, or begins anew.
    mutating func begin(_ wait: Wait, now: Duration) {
        let limit: Duration =
            switch wait {
            case .frame, .write: ProtocolLimits.transaction
            case .answer: Self.stall
            case .silence: silence
            }
        deadlines[wait.rawValue] = now + limit
    }

    /// What was waited for has come.
    mutating func end(_ wait: Wait) { deadlines[wait.rawValue] = nil }

    /// When patience will be over; nil while nothing is waited for.
    var deadline: Duration? { deadlines.compactMap { $0 }.min() }
}

/// Resets a stream when patience is over.
@ReactorActor
final class StreamWatch {
    private let stream: Stream
    private var patience: StreamPatience
    private var timer: Timer?
    /// Whether it was this watch that ended the stream.
    private(set) var hasExpired = false

    init(_ stream: Stream, silence: Duration) {
        self.stream = stream
        patience = StreamPatience(silence: silence)
    }

    func begin(_ wait: StreamPatience.Wait) {
        patience.begin(wait, now: Reactor.now)
        arm()
    }

    func end(_ wait: StreamPatience.Wait) { patience.end(wait) }

    func stop() { timer?.cancel() }

    /// A timer that fires too early arms itself again, so that few are made.
    private func arm() {
        guard let deadline = patience.deadline else { return }
        if let timer, timer.isPending, timer.deadline <= deadline { return }
        timer?.cancel()
        timer = Reactor.schedule(after: max(.zero, deadline - Reactor.now)) { [weak self] in self?.fire() }
    }

    private func fire() {
        guard let deadline = patience.deadline else { return }
        guard deadline <= Reactor.now else { return arm() }
        hasExpired = true
        stream.reset()
    }
}
