import Reactor

/// Lets others have their turn when one peer's messages, which come without a wait, have made much work.
@ReactorActor
final class WorkTurn {
    /// Units of work at a stretch: some hundred microseconds.
    nonisolated static let length = 1_024
    /// What a frame costs besides what is in it.
    nonisolated static let frame = 16

    private var done = 0

    /// A frame with so many entries was dealt with.
    func did(_ entries: Int) async throws {
        done &+= entries &+ Self.frame
        guard done >= Self.length else { return }
        done = 0
        try await Reactor.sleep(for: .zero)
    }
}
