import Chain
import Collections
import Crypto
import Node
import Reactor

/// The machines' operators: now and then a node joins or leaves the validators or is voted out. Each transaction is
/// sent until it is committed, to any node that accepts it.
@ReactorActor
final class ValidatorChanges {
    private unowned let world: World
    private let interval: Duration?
    private var random: SeededGenerator
    private var nonces: [PublicKey: UInt64] = [:]
    private var isOver = false
    /// Whether nothing is in progress.
    private(set) var isDone = true

    init(_ world: World) {
        self.world = world
        interval = world.options.validatorInterval
        random = SeededGenerator(seed: world.options.seed, stream: "validators")
    }

    func start() {
        guard let interval else { return }
        isDone = false
        Reactor.spawn { [self] in
            while !isOver, world.failure == nil {
                try? await Reactor.sleep(
                    for: random.milliseconds(10...max(20, 2 * Int64(interval / .milliseconds(1)))))
                if !isOver { await change() }
            }
            isDone = true
        }
    }

    /// Starts no more changes; those in progress complete.
    func stop() { isOver = true }

    private func change() async {
        let voters = members
        let outsiders = world.nodes.filter { !voters.contains($0.key) }
        let leader = world.chain.committed(at: world.chain.tip)?.leader ?? world.genesis.leader
        let others = world.nodes.filter { voters.contains($0.key) && $0.key != leader }
        switch random.next() % 3 {
        case 0:
            // Two remain beside the leader, so that one machine may be off.
            guard others.count > 2, let leaver = random.pick(others) else { return }
            await send(.validatorLeave, leaver)
        case 1:
            guard others.count > 2, let target = random.pick(others) else { return }
            await vote(.validatorRemove(target.key)) { [self] in !members.contains(target.key) }
        default:
            guard let candidate = random.pick(outsiders) else { return }
            await send(.validatorJoin(power: 1), candidate)
            // Some requests get no approval and expire.
            if random.oneIn(4) { return }
            await vote(.validatorApprove(candidate.key)) { [self] in members.contains(candidate.key) }
        }
    }

    /// The validators of the next block.
    private var members: ValidatorSet {
        world.chain.committed(at: world.chain.tip)?.validators ?? world.genesis.validators
    }

    /// Makes one validator after another vote until the matter is decided.
    private func vote(_ payload: Payload, until isDecided: () -> Bool) async {
        for machine in world.nodes.filter({ members.contains($0.key) }).shuffled(using: &random) {
            if isDecided() { return }
            await send(payload, machine)
        }
    }

    /// Sends a transaction until it is committed, with any result.
    private func send(_ payload: Payload, _ signer: SimulatedNode) async {
        let nonce = nonces[signer.key, default: 0] + 1
        nonces[signer.key] = nonce
        let body = TransactionBody(payload, nonce: nonce, chainID: world.genesis.chainID)
        guard let transaction = try? Transaction.signed(body, by: signer.setup.key) else { return }
        world.trace.note("validators", "\(payload.type) by \(signer.name): \(transaction.id)")
        while world.failure == nil {
            if let node = random.pick(world.nodes.filter { $0.node != nil })?.node {
                _ = try? await node.broadcast(transaction.bytes, waitForCommit: false)
            }
            if await world.wait(.seconds(5), until: { world.chain.heights[transaction.id] != nil }) { return }
        }
    }
}
