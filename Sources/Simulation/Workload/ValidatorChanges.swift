import Chain
import Collections
import Crypto
import Node
import Reactor

/// The operators of the machines: now and then one asks to validate, leaves, or is voted out, while everything else goes
/// on. Each transaction is sent until it is committed, by whichever node takes it.
@ReactorActor
final class ValidatorChanges {
    private unowned let world: World
    private let interval: Duration?
    private var random: SeededGenerator
    private var nonces: [PublicKey: UInt64] = [:]
    private var isOver = false
    /// Whether nothing is under way.
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

    /// Begins nothing new; what is under way goes on to its end.
    func stop() { isOver = true }

    private func change() async {
        let voters = members
        let outsiders = world.nodes.filter { !voters.contains($0.key) }
        let leader = world.chain.committed(at: world.chain.tip)?.leader ?? world.genesis.leader
        let others = world.nodes.filter { voters.contains($0.key) && $0.key != leader }
        switch random.next() % 3 {
        case 0:
            // Two remain beside the leader, so that one machine that is off does not stop everything.
            guard others.count > 2, let leaver = random.pick(others) else { return }
            await send(.validatorLeave, leaver)
        case 1:
            guard others.count > 2, let target = random.pick(others) else { return }
            await vote(.validatorRemove(target.key)) { [self] in !members.contains(target.key) }
        default:
            guard let candidate = random.pick(outsiders) else { return }
            await send(.validatorJoin(power: 1), candidate)
            // Some are forgotten, and expire.
            if random.oneIn(4) { return }
            await vote(.validatorApprove(candidate.key)) { [self] in members.contains(candidate.key) }
        }
    }

    /// Who votes on the next block.
    private var members: ValidatorSet {
        world.chain.committed(at: world.chain.tip)?.validators ?? world.genesis.validators
    }

    /// One validator after another votes, until it is decided.
    private func vote(_ payload: Payload, until isDecided: () -> Bool) async {
        for machine in world.nodes.filter({ members.contains($0.key) }).shuffled(using: &random) {
            if isDecided() { return }
            await send(payload, machine)
        }
    }

    /// Until it is committed, with whatever result.
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
