import Reactor
import VirtualIO

/// Counts the bytes that a machine sends to others.
@ReactorActor
final class Traffic {
    private let world: World
    private let former: (@ReactorActor (VirtualNetwork.Event) -> Void)?
    private var counts: [SocketAddress: Int] = [:]

    init(_ world: World, from machine: SimulatedNode) {
        self.world = world
        former = world.network.onEvent
        let source = machine.setup.address
        world.network.onEvent = { [former, weak self] event in
            former?(event)
            guard case .received(let from, let to, let bytes) = event, from.with(port: 0) == source else {
                return
            }
            self?.counts[to.with(port: 0), default: 0] += bytes
        }
    }

    /// The bytes to all machines.
    var bytes: Int { counts.values.reduce(0, +) }

    func bytes(to machine: SimulatedNode) -> Int { counts[machine.setup.address] ?? 0 }

    /// Forgets what has been sent so far.
    func restart() { counts = [:] }

    func stop() { world.network.onEvent = former }
}
