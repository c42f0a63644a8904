import Reactor

/// Checks that no stopped or crashed node leaves anything in memory. Such leaks would add up in a process that runs
/// for months.
@ReactorActor
struct RemainsChecker {
    /// Longer than any task of an ended node, a client or the adversary sleeps.
    static let patience = Duration.seconds(70)

    private let world: World

    init(_ world: World) { self.world = world }

    func run() async -> CheckerFailure? {
        try? await Reactor.sleep(for: Self.patience)
        let left = world.remains.filter { !$0.node.left.isEmpty }
        guard let first = left.first else { return nil }
        return CheckerFailure(
            "remains",
            "\(left.count) of \(world.remains.count) ended nodes are still in memory in part; of \(first.name): \(first.node.left)"
        )
    }
}
