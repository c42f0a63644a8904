import Chain
import Reactor

/// Measures how long after a proposal a machine votes.
@ReactorActor
final class VoteDelays {
    private let world: World
    private(set) var delays: [Duration] = []
    private var proposedAt: Duration?

    /// `onProposal` is called for each block that the leader proposes.
    init(
        _ world: World, of voter: SimulatedNode, after leader: SimulatedNode,
        _ onProposal: @escaping @ReactorActor (Block) -> Void = { _ in }
    ) {
        self.world = world
        world.onNodeEvent = { [self] event, machine in
            if event == .proposed, machine === leader {
                proposedAt = Reactor.now
                if let block = world.proposed.last { onProposal(block) }
            } else if event == .voted, machine === voter, let at = proposedAt {
                delays.append(Reactor.now - at)
                proposedAt = nil
            }
        }
    }

    func stop() { world.onNodeEvent = nil }
}
