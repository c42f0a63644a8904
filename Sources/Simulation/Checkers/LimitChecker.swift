import Node
import Reactor

/// Checks every second that nodes' holdings stay within their limits, and that no job of a pool, which has threads to compute
/// only, has used the disk or the application.
@ReactorActor
final class LimitChecker {
    private unowned let world: World
    private var timer: Timer?

    init(_ world: World) { self.world = world }

    func start() {
        timer = Reactor.schedule(after: .seconds(1)) { [weak self] in
            guard let self else { return }
            look()
            start()
        }
    }

    func stop() { timer?.cancel() }

    private func look() {
        for machine in world.nodes {
            let misplaced = (machine.disk.counters.misplaced, machine.application.misplaced)
            if misplaced != (0, 0) {
                world.fail(
                    "pools",
                    "jobs of \(machine.name)'s pool used the disk \(misplaced.0) times and the application \(misplaced.1) times"
                )
            }
            guard let node = machine.node else { continue }
            for holding in node.holdings {
                world.most[holding.name] = max(world.most[holding.name] ?? 0, holding.amount)
                if holding.amount > holding.limit {
                    world.fail(
                        "limits",
                        "\(machine.name) holds \(holding.amount) \(holding.name), the limit is \(holding.limit)"
                    )
                }
            }
        }
    }
}
