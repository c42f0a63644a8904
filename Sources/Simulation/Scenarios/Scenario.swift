import Reactor

/// A simulation that follows a script in place of random faults. When the script has ended, the nodes must reach the
/// same height as after any other simulation. All checkers apply throughout.
public struct Scenario: Sendable {
    /// The name that `apus-sim simulate --scenario` takes.
    public let name: String
    /// What the scenario shows, in one sentence.
    public let summary: String
    let options: @Sendable (inout SimulationOptions) -> Void
    let script: @ReactorActor @Sendable (World) async throws -> Void

    init(
        _ name: String, _ summary: String,
        options: @escaping @Sendable (inout SimulationOptions) -> Void = { _ in },
        script: @escaping @ReactorActor @Sendable (World) async throws -> Void
    ) {
        self.name = name
        self.summary = summary
        self.options = options
        self.script = script
    }

    /// All scenarios.
    public static let all: [Scenario] =
        networks + consensus + clocks + trust + peers + validators + roles + transactions
        + hostileTransactions + statements + protocols + ghosts + crowds + syncing + sources + liveSources
        + standing + forgeries + faults + cheapMessages + compactProposals + shares

    /// Returns the options of a run: a quiet network of four validators and two sentries, with the scenario's
    /// changes.
    public func options(seed: UInt64) -> SimulationOptions {
        var options = SimulationOptions(seed: seed)
        options.validators = 4
        options.sentries = 2
        options.blocks = 10
        options.faultInterval = nil
        options.latency = .milliseconds(20)
        options.lossPerMille = 0
        options.clockSkew = .zero
        options.blockInterval = .milliseconds(200)
        options.emptyBlockInterval = .seconds(1)
        options.execution = .noop
        options.adversaries = 0
        options.clients = 2
        options.maxBlockSize = 6 << 20
        options.joinExpiry = .seconds(604_800)
        options.validatorInterval = nil
        options.blockBudget = nil
        options.keptBlocks = nil
        options.isMixed = false
        self.options(&options)
        return options
    }
}

extension World {
    /// Waits until `condition` holds; at the limit, fails the scenario with `what`.
    func expect(_ what: String, within limit: Duration = .seconds(60), _ condition: () async -> Bool)
        async throws
    {
        if await wait(limit, until: condition) { return }
        if let failure { throw failure }
        throw CheckerFailure("scenario", what)
    }

    /// Waits until the chain has grown by `blocks`.
    func grow(_ blocks: Int64, within limit: Duration = .seconds(120)) async throws {
        let target = chain.tip + blocks
        try await expect("the chain does not grow to \(target)", within: limit) { chain.tip >= target }
    }
}
