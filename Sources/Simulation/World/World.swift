import Bytes
import Chain
import Collections
import Consensus
import Crypto
import Execution
import Node
import Reactor
import VirtualIO

/// A simulation's machines, network, clients and checkers, on one virtual loop.
@ReactorActor
public final class World {
    let options: SimulationOptions
    let network: VirtualNetwork
    let trace: Trace
    let genesis: Genesis
    /// The owner of the database.
    let owner: PrivateKey
    private(set) var nodes: [SimulatedNode] = []
    let chain: ChainChecker
    let votes = VoteChecker()
    let clients: Workload
    private(set) lazy var operators = ValidatorChanges(self)
    /// The first failure.
    private(set) var failure: CheckerFailure?
    /// The number of injected faults, by kind.
    var faults: [String: Int] = [:]
    /// The last eight proposals, the newest last.
    private(set) var proposed: [Block] = []
    /// The peak of every bounded holding over all nodes, by its name.
    var most: [String: Int] = [:]
    /// What is left in memory of every node that has run.
    private(set) var remains: [(name: String, node: NodeRemains)] = []
    /// Whether faults have ended, so that nothing may fail from now on.
    var isCalm = false
    /// Called for what nodes do, so that scripts can wait for a moment.
    var onNodeEvent: (@ReactorActor (NodeEvent, SimulatedNode) -> Void)?
    private let directory: String

    /// An event that a script may wait for.
    enum NodeEvent { case proposed, voted, committed }

    /// The time within which all nodes must reach one height after the last fault: the longest wait of the protocol
    /// (a proposal's timeout, 60 s, doubled by one withdrawal) and some time to catch up.
    nonisolated static let livenessBound = Duration.seconds(300)
    /// The port on which nodes listen.
    nonisolated static let port: UInt16 = 6600

    init(_ options: SimulationOptions, directory: String, trace: Trace) throws {
        guard let network = VirtualNetwork.current else {
            throw CheckerFailure("simulator", "no virtual loop")
        }
        self.options = options
        self.network = network
        self.trace = trace
        self.directory = directory
        var random = SeededGenerator(seed: options.seed, stream: "world")
        let count = options.validators + options.sentries
        let keys = try (0..<count).map { try World.key("node \($0)", options.seed, $0) }
        owner = try World.key("owner", options.seed, 1)
        let clientKeys = try (0..<options.clients).map { try World.key("client \($0)", options.seed, $0) }
        var parameters = NetworkParameters(leader: keys.first?.publicKey)
        parameters.maxBlockSize = options.maxBlockSize
        parameters.joinExpiry = Int64(options.joinExpiry / .nanoseconds(1))
        genesis = Genesis(
            chainID: "simulation", databaseOwner: owner.publicKey.nodeID,
            validators: ValidatorSet(
                keys.prefix(options.validators).map { Validator(key: $0.publicKey, power: 1) }),
            allocations: clientKeys.map {
                Genesis.Allocation(account: AccountID($0.publicKey), amount: 1_000_000)
            },
            parameters: parameters)
        chain = ChainChecker(genesis)
        clients = Workload(options, keys: clientKeys, owner: owner, chainID: genesis.chainID)
        network.defaultLink = .init(
            latency: options.latency, jitter: options.latency / 4, bytesPerSecond: 20_000_000,
            lossPerMille: options.lossPerMille)
        network.onEvent = { [unowned self] in note($0) }
        for index in 0..<count {
            let machine = try makeNode(index, keys, random.next())
            machine.startTwin(seed: options.seed) { [unowned self] in fail($0) }
            nodes.append(machine)
        }
    }

    /// Returns a key derived from the seed: secp256k1 for even indexes, Ed25519 for odd ones.
    static func key(_ name: String, _ seed: UInt64, _ index: Int) throws -> PrivateKey {
        let bytes = Hash.sha256(of: Array("\(seed) key \(name)".utf8)).array
        return index % 2 == 0
            ? try PrivateKey(type: .secp256k1, bytes: bytes) : try PrivateKey(ed25519Seed: bytes)
    }

    /// Returns the address of the machine with an index.
    static func address(_ index: Int) throws -> SocketAddress {
        try SocketAddress(ip: "10.\(index >> 16 & 255).\(index >> 8 & 255).\(index & 255)", port: 0)
    }

    private func makeNode(_ index: Int, _ keys: [PrivateKey], _ random: UInt64) throws -> SimulatedNode {
        let isSentry = index >= options.validators
        let name =
            index == 0
            ? "leader" : isSentry ? "sentry-\(index - options.validators + 1)" : "validator-\(index)"
        let address = try World.address(index + 1)
        var configuration = Configuration()
        configuration.p2p.listen = ["\(address.ip):\(World.port)"]
        configuration.consensus.proposeTimeout = options.blockInterval
        configuration.consensus.emptyBlockTimeout = options.emptyBlockInterval
        configuration.mempool.reannounceInterval = .seconds(5)
        configuration.execution.application = options.execution.rawValue
        // One thread, as on a small machine, to four, whose jobs end in another order than they begin.
        configuration.reactor.checkThreads = 1 + index % 4
        configuration.storage.keepBlocks = index % 3 == 2 ? options.keptBlocks ?? 0 : 0
        // Bootstrap nodes, as operators would set them up: validators know the leader and the first validator,
        // sentries one or two validators. Beside a lone leader the sentries know each other, because it admits no
        // strangers once one of them is a validator.
        let boots: [Int] =
            if isSentry {
                switch options.validators {
                case 1: Array(0..<keys.count)
                case 2: [1]
                default: [1 + index % (options.validators - 1), 2 + index % (options.validators - 2)]
                }
            } else {
                index == 0 ? [] : [0, 1].filter { $0 != index }
            }
        configuration.p2p.bootnodes = try boots.filter { $0 < keys.count && $0 != index }.map {
            "\(keys[$0].publicKey.nodeID)@\(try World.address($0 + 1).ip):\(World.port)"
        }
        let skew = Int64(options.clockSkew.components.seconds * 1000)
        return SimulatedNode(
            .init(
                name: name, key: keys[index], address: address, genesis: genesis,
                configuration: configuration,
                applicationDirectory: options.execution == .sql ? "\(directory)/\(name)" : nil,
                blockBudget: options.blockBudget,
                takesCompactProposals: !options.isMixed || index % 2 == 0),
            seed: options.seed, clockSkew: skew == 0 ? 0 : Int64(random % UInt64(2 * skew)) - skew)
    }

    // MARK: Events

    /// Records the first failure, which ends the simulation.
    func fail(_ failure: CheckerFailure) {
        guard self.failure == nil else { return }
        self.failure = failure
        trace.note("FAILED", failure.description)
    }

    func fail(_ checker: String, _ detail: String) { fail(CheckerFailure(checker, detail)) }

    private func check(_ body: () throws(CheckerFailure) -> Void) {
        do throws(CheckerFailure) { try body() } catch { fail(error) }
    }

    func count(_ fault: String, _ detail: String) {
        faults[fault, default: 0] += 1
        trace.note("fault", "\(fault) \(detail)")
    }

    private func note(_ event: VirtualNetwork.Event) {
        switch event {
        case .connected(let a, let b):
            trace.note("connected", [UInt64(a.port), UInt64(b.port)], "\(a) -> \(b)")
        case .refused(let a, let b): trace.note("refused", [UInt64(a.port)], "\(a) -> \(b)")
        case .received(let a, let b, let bytes):
            trace.note("received", [UInt64(a.port), UInt64(b.port), UInt64(bytes)], "\(a) -> \(b) \(bytes)")
        case .reset(let a, let b): trace.note("reset", [UInt64(a.port), UInt64(b.port)], "\(a) -> \(b)")
        }
    }

    /// Returns the observer of one process, whose reports count as long as the process lives.
    private func observer(of machine: SimulatedNode, life: Int) -> NodeObserver {
        var observer = NodeObserver()
        observer.proposed = { [unowned self, unowned machine] block, stamp in
            guard machine.life == life else { return }
            trace.note("proposed", "\(machine.name) \(block.header.height) \(block.hash) \(stamp)")
            if proposed.count == 8 { proposed.removeFirst() }
            proposed.append(block)
            check { () throws(CheckerFailure) in
                try votes.proposal(block, stamp: stamp, by: machine.key, machine.name)
            }
            onNodeEvent?(.proposed, machine)
        }
        observer.downloaded = { [unowned self, unowned machine] block in
            guard machine.life == life else { return }
            downloaded(block, by: machine)
        }
        observer.voted = { [unowned self, unowned machine] answer, stamp in
            guard machine.life == life else { return }
            trace.note("voted", "\(machine.name) \(answer.height) \(answer.block) \(answer.appHash != nil)")
            let validators = chain.committed(at: answer.height - 1)?.validators ?? genesis.validators
            check { () throws(CheckerFailure) in
                try votes.vote(
                    answer, stamp: stamp, isValidator: validators.contains(machine.key), by: machine.name)
            }
            onNodeEvent?(.voted, machine)
        }
        observer.committed = { [unowned self, unowned machine] commit, block, _ in
            guard machine.life == life else { return }
            trace.note("committed", "\(machine.name) \(block.height) \(block.hash) \(commit.appHash)")
            if block.height <= machine.committed {
                fail(
                    "durability", "\(machine.name) commits height \(block.height) after \(machine.committed)")
            }
            machine.committed = block.height
            check { () throws(CheckerFailure) in try chain.commit(commit.info, block.block, by: machine.name)
            }
            if let trace = machine.node?.trace(of: block.hash) {
                check { () throws(CheckerFailure) in try StageChecker.check(trace, of: machine.name) }
            }
            onNodeEvent?(.committed, machine)
        }
        observer.halted = { [unowned self, unowned machine] error in
            guard machine.life == life else { return }
            trace.note("halted", "\(machine.name) \(error)")
            if !machine.mayFail, !machine.isDamaged { fail("halt", "\(machine.name) stopped: \(error)") }
        }
        observer.brokenInvariant = { [unowned self, unowned machine] broken in
            guard machine.life == life else { return }
            fail("invariant", "\(machine.name): \(broken)")
        }
        return observer
    }

    /// Checks a fetched proposal: only validators fetch proposals, by the validator set of up to two blocks back,
    /// which a lagging node may still have; and without faults no node fetches one twice.
    private func downloaded(_ block: Block, by machine: SimulatedNode) {
        trace.note("downloaded", "\(machine.name) \(block.height) \(block.hash)")
        let isValidator = (block.height - 2..<block.height).contains { height in
            (chain.committed(at: height)?.validators ?? genesis.validators).contains(machine.key)
        }
        if !isValidator {
            fail("download", "\(machine.name) is not a validator but fetched the proposal \(block.hash)")
        }
        let isFirst = machine.downloads.insert(block.hash).inserted
        if !isFirst, options.faultInterval == nil, faults["attack"] == nil {
            fail("download", "\(machine.name) fetched the proposal \(block.hash) twice")
        }
    }

    // MARK: Machines

    /// Starts a machine's node. If a fault explains why the node cannot start, does what its operator would: tries
    /// again later, or replaces a damaged disk by an empty one.
    func start(_ machine: SimulatedNode) async {
        network.powerOn(machine.setup.address)
        guard machine.isOff else { return }
        trace.note("start", machine.name)
        do {
            try await machine.start { observer(of: machine, life: $0) }
        } catch {
            trace.note("not started", "\(machine.name) \(error)")
            if machine.isDamaged {
                faults["damage found at start", default: 0] += 1
                wiped(machine)
            } else if !machine.mayFail {
                return fail("start", "\(machine.name) does not start: \(error)")
            }
            return again(machine)
        }
        guard let node = machine.node else { return }
        remains.append((machine.name, node.remains))
        let height = await node.status().height
        let lost = machine.committed - height
        if lost > 0, lost <= DecidedRun.mostBlocks, machine.isDamaged {
            // A flipped bit in the last append looks like a torn write after a power failure. Peers have the blocks.
            faults["tail lost at start", default: 0] += 1
            machine.committed = height
        } else if lost > 0 {
            fail(
                "durability",
                "\(machine.name) had committed height \(machine.committed), and starts at \(height)")
        }
        check { () throws(CheckerFailure) in try votes.remember(node.lastVote, machine.key, machine.name) }
        await review(machine, node, to: height)
        watch(machine, node)
    }

    /// Checks blocks that entered the log just before a crash: they are committed but were never reported.
    private func review(_ machine: SimulatedNode, _ node: Node, to height: Int64) async {
        while machine.committed < height, failure == nil {
            guard let stored = try? await node.block(at: machine.committed + 1),
                let block = try? Block(decoding: stored.block),
                let info = try? CommitInfo(decoding: stored.commitInfo)
            else { return fail("durability", "\(machine.name) has no block \(machine.committed + 1)") }
            machine.committed += 1
            check { () throws(CheckerFailure) in try chain.commit(info, block, by: machine.name) }
        }
    }

    /// Restarts a node that ends by itself, as a supervisor does.
    private func watch(_ machine: SimulatedNode, _ node: Node) {
        let life = machine.life
        Reactor.spawn { [unowned self] in
            guard let error = await node.failure(), machine.life == life else { return }
            trace.note("ended", "\(machine.name) \(error)")
            machine.kill()
            if machine.isDamaged { wiped(machine) }
            again(machine)
        }
    }

    /// Starts a machine after two seconds, as a supervisor does.
    private func again(_ machine: SimulatedNode) {
        let life = machine.life
        Reactor.spawn { [unowned self] in
            try? await Reactor.sleep(for: .seconds(2))
            if machine.isOff, machine.life == life { await start(machine) }
        }
    }

    /// Replaces the disk of a machine that is off by an empty one.
    func wiped(_ machine: SimulatedNode) {
        machine.wipe()
        votes.forget(machine.key)
    }

    /// Waits until `condition` holds. Returns false after `limit`, or when the simulation has failed.
    @discardableResult
    func wait(
        _ limit: Duration, every interval: Duration = .milliseconds(100), until condition: () async -> Bool
    ) async -> Bool {
        let end = Reactor.now + limit
        while failure == nil {
            if await condition() { return true }
            guard Reactor.now < end else { return false }
            try? await Reactor.sleep(for: interval)
        }
        return false
    }

    /// Returns each node's committed height, in the order of the machines; nil for one that is not running.
    func heights() async -> [Int64?] {
        var heights: [Int64?] = []
        for machine in nodes { heights.append(await machine.node?.status().height) }
        return heights
    }
}
