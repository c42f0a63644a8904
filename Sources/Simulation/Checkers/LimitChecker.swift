import Node
import Reactor

/// Checks every second that nodes' holdings stay within their limits.
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
