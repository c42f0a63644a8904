import Reactor

/// After the end, nothing of any node is left in memory, neither of one that was stopped nor of one that crashed. What
/// nobody needs any more would add up in a process that runs for months.
@ReactorActor
struct RemainsChecker {
    /// Longer than any task of an ended node, of a client or of the adversary sleeps.
    static let patience = Duration.seconds(70)

    private let world: World

    init(_ world: World) { self.world = world }

    func run() async -> CheckerFailure? {
        try? await Reactor.sleep(for: Self.patience)
        let left = world.remains.filter { !$0.node.left.isEmpty }
        guard let first = left.first else { return nil }
        return CheckerFailure(
            "remains",
            "of \(left.count) of \(world.remains.count) ended nodes something is left, of \(first.name) \(first.node.left)"
        )
    }
}
