import LibP2P
import Reactor

/// How long the two ends of a long-lived stream may keep each other waiting. A machine.
struct StreamPatience {
    /// Something that this end waits for.
    enum Wait: Int, CaseIterable {
        /// The rest of a frame that has begun.
        case frame
        /// Room for what is being written.
        case write
        /// Anything that was requested.
        case answer
        /// The next frame.
        case silence
    }

    /// The limit for an answer. Frames and writes may take as long as a transaction on a stream of its own, an answer longer: it
    /// may have to wait for the peer's disk, or for another peer that reads slowly.
    private static let stall = Duration.seconds(60)

    private let silence: Duration
    private var deadlines: [Duration?] = Array(repeating: nil, count: Wait.allCases.count)

    /// - Parameter silence: how long the stream may be silent.
    init(silence: Duration) { self.silence = silence }

    /// Begins to wait, or begins again.
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

    /// When patience runs out; nil while this end waits for nothing.
    var deadline: Duration? { deadlines.compactMap { $0 }.min() }
}

/// Resets a stream when its patience runs out.
@ReactorActor
final class StreamWatch {
    private let stream: Stream
    private var patience: StreamPatience
    private var timer: Timer?
    /// Whether this watch has reset the stream.
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

    /// Makes few timers: one that fires too early arms itself again.
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
