import Node
import Reactor

/// What nodes hold stays under their limits, looked at once in a while.
@ReactorActor
final class LimitChecker {
    private unowned let world: World
    private var timer: Timer?

    init(_ world: World) { self.world = world }

    func start() {
        timer = Reactor.schedule(after: .seconds(1)) { [weak self] in
            guard let self else { return }
            Reactor.spawn { await self.look() }
            self.start()
        }
    }

    func stop() { timer?.cancel() }

    private func look() async {
        for machine in world.nodes {
            guard let node = machine.node else { continue }
            let (status, limits) = (await node.status(), machine.setup.configuration)
            if status.mempoolSize > limits.mempool.maxSize {
                world.fail("limits", "\(machine.name) holds \(status.mempoolSize) bytes of transactions")
            }
            if status.peerCount > limits.p2p.maxConnections {
                world.fail("limits", "\(machine.name) has \(status.peerCount) peers")
            }
        }
    }
}
