import Chain
import Crypto
import Multiformats
import Reactor
import TestSupport

@testable import Consensus
@testable import Execution

/// Some machines and their surroundings (disk, application, streams, gossip), all in one queue of events whose order,
/// delays, losses and repetitions come from a seed.
final class ConsensusNetwork {
    typealias Planner = SyncPlanner<DecidedBlock, DecidedBlock>

    /// Probabilities of faults, per thousand.
    struct Faults {
        var loss: UInt64 = 0
        var repetition: UInt64 = 0
        var longestDelay: UInt64 = 20
        /// Executions that fail because of the machine, per thousand.
        var trouble: UInt64 = 0
    }

    final class Node {
        let index: Int
        let key: PrivateKey
        var machine: ConsensusMachine
        var planner: Planner
        var isUp = true
        /// The lead of its clock, in ms.
        var clockAway: UInt64 = 0
        /// The number of restarts; events for an earlier process are lost.
        var life = 0
        /// Whether its current or else its next execution stops.
        var isStopping = false
        /// The time of its next timer, in ms.
        var alarm: UInt64?
        // Its disk, which survives a restart.
        var log: [(block: CheckedBlock, commit: VerifiedCommit)] = []
        var vote: Vote?
        var oldestVote: Int64?
        var reservedStamp: Int64 = 0
        /// Its operator's promotion.
        var promotion: Promotion?
        /// The block that it voted for.
        var votedBlock: CheckedBlock?
        // Not on disk: blocks that it offers as proposals.
        var proposed: [Hash: CheckedBlock] = [:]
        var blocksBuilt: UInt64 = 0

        init(_ index: Int, _ key: PrivateKey, _ machine: ConsensusMachine) {
            self.index = index
            self.key = key
            self.machine = machine
            planner = SyncPlanner(tip: machine.state.height)
        }

        var peer: PeerID { key.publicKey.peerID }
    }

    let chain: TestChain
    /// Changes of the validators, by the height of the block.
    var changes: [Int64: [Validator]] = [:]
    var nodes: [Node] = []
    var faults = Faults()
    var problems: [String] = []
    /// Whether two nodes have no connection; gossip reaches them all the same.
    var isCut: (Node, Node) -> Bool = { _, _ in false }
    /// The votes cast, by voter, height and stamp: a second block there is a violation.
    var votes: [String: Hash] = [:]
    var random: UInt64
    var now: UInt64 = 0
    private var queue: [(at: UInt64, order: UInt64, run: () throws -> Void)] = []
    private var order: UInt64 = 0
    private var settings = ConsensusSettings()
    private var proven: Set<Hash> = []
    private(set) var events = 0

    init(validators: Int, sentries: Int, seed: UInt64, interval: Duration = .milliseconds(100)) throws {
        chain = try TestChain(validators: validators)
        random = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        settings.startDelay = .milliseconds(200)
        settings.minimumBlockInterval = interval
        settings.emptyBlockInterval = .seconds(5)
        settings.proposalTimeout = .seconds(20)
        let keys = chain.validators + (try (0..<sentries).map { try TestChain.key(101 + $0) })
        for (index, key) in keys.enumerated() { nodes.append(Node(index, key, machine(key))) }
        for node in nodes {
            poke(node)
            connect(node)
        }
    }

    /// Returns a machine that starts from a node's disk, or from nothing.
    private func machine(_ key: PrivateKey, of node: Node? = nil) -> ConsensusMachine {
        let log = node?.log ?? []
        var settings = settings
        settings.promotion = node?.promotion
        return ConsensusMachine(
            key: key.publicKey, state: state(after: log), tipCommit: log.last?.commit, lastVote: node?.vote,
            oldestVote: node?.oldestVote, votedBlock: node?.votedBlock,
            reservedStamp: node?.reservedStamp ?? 0, settings: settings,
            now: .milliseconds(Int64(now)))
    }

    private func state(after log: some Sequence<(block: CheckedBlock, commit: VerifiedCommit)>) -> ChainState
    {
        var state = chain.genesis
        for entry in log {
            let next = try? state.after(entry.block.header, hash: entry.block.hash, commit: entry.commit.info)
            state = next ?? state
        }
        return state
    }

    func next(below bound: UInt64) -> UInt64 {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return bound == 0 ? 0 : random % bound
    }

    // MARK: Time

    func later(_ delay: UInt64, _ run: @escaping () throws -> Void) {
        order += 1
        let at = now + delay
        // The latest event comes first; of one time, the newest first.
        var low = 0
        var high = queue.count
        while low < high {
            let middle = (low + high) / 2
            if queue[middle].at > at { low = middle + 1 } else { high = middle }
        }
        queue.insert((at, order, run), at: low)
    }

    /// Runs for a number of milliseconds of virtual time.
    func run(for duration: UInt64) throws {
        let end = now + duration
        while let event = queue.last, event.at <= end {
            queue.removeLast()
            now = event.at
            events += 1
            try event.run()
        }
        now = end
    }

    /// Drops the events that have not come, which hold the network.
    func end() { queue = [] }

    /// Schedules work on a node's own disk or processor: never lost, but dropped with the process.
    func local(_ node: Node, _ longest: UInt64 = 10, _ run: @escaping () throws -> Void) {
        let life = node.life
        later(1 + next(below: longest)) { if node.isUp, node.life == life { try run() } }
    }

    /// Sends from peer to peer: late, lost or twice.
    func send(
        _ from: Node, _ to: Node, byGossip: Bool = false, _ run: @escaping () throws -> Void
    ) {
        guard byGossip || !isCut(from, to) else { return }
        guard from !== to, next(below: 1000) >= faults.loss else { return }
        let copies = next(below: 1000) < faults.repetition ? 2 : 1
        for _ in 0..<copies {
            let life = to.life
            later(1 + next(below: faults.longestDelay)) { if to.isUp, to.life == life { try run() } }
        }
    }

    // MARK: Nodes

    func stop(_ node: Node) {
        node.isUp = false
        node.life += 1
        node.proposed = [:]
        node.alarm = nil
    }

    func start(_ node: Node) {
        guard !node.isUp else { return }
        node.isUp = true
        node.machine = machine(node.key, of: node)
        node.planner = SyncPlanner(tip: node.machine.state.height)
        poke(node)
        connect(node)
    }

    /// Replaces a node's disk: blocks and votes are gone.
    func wipe(_ node: Node) {
        stop(node)
        node.log = []
        node.vote = nil
        node.oldestVote = nil
        node.reservedStamp = 0
        node.votedBlock = nil
    }

    private func connect(_ node: Node) {
        for other in nodes where other !== node && other.isUp {
            send(other, node) { try self.handle(node, .peerReady(other.peer)) }
            send(node, other) { try self.handle(other, .peerReady(node.peer)) }
        }
    }

    private func poke(_ node: Node) {
        local(node) {
            try self.handle(node, .mempool(hasTransactions: true))
            self.alarm(node)
        }
    }

    func node(_ peer: PeerID) -> Node? { nodes.first { $0.peer == peer } }

    func handle(_ node: Node, _ event: ConsensusEvent) throws {
        try ask(node) { $0.handle(event, at: $1, actions: &$2) }
    }

    /// Asks a node's machine a question, and performs the resulting actions.
    @discardableResult
    func ask<Answer>(
        _ node: Node, _ question: (inout ConsensusMachine, Instant, inout [ConsensusAction]) -> Answer
    ) throws -> Answer {
        var actions: [ConsensusAction] = []
        let instant = Instant(elapsed: .milliseconds(Int64(now)), wallClock: now + node.clockAway)
        let answer = question(&node.machine, instant, &actions)
        do throws(BrokenInvariant) { try node.machine.checkInvariants() } catch {
            problems.append("node \(node.index): \(error)")
        }
        for action in actions { try perform(node, action) }
        alarm(node)
        return answer
    }

    private func alarm(_ node: Node) {
        guard let deadline = node.machine.deadline else { return }
        let at = max(Self.milliseconds(deadline), now + 1)
        if let alarm = node.alarm, alarm <= at, alarm > now { return }
        node.alarm = at
        let life = node.life
        later(at - now) {
            guard node.isUp, node.life == life, node.alarm == at else { return }
            node.alarm = nil
            try self.handle(node, .timer)
        }
    }

    static func milliseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(seconds) * 1000 + UInt64(attoseconds / 1_000_000_000_000_000)
    }

    // MARK: Invariants

    /// Returns forks, uncommitted blocks and problems noted on the way; empty for none.
    func check() -> [String] {
        var found = problems
        let longest = nodes.map(\.log).max { $0.count < $1.count } ?? []
        for node in nodes {
            var before = chain.genesis
            for (height, entry) in node.log.enumerated() {
                if entry.block.hash != longest[height].block.hash
                    || entry.commit.appHash != longest[height].commit.appHash
                {
                    found.append("node \(node.index) forks at height \(height + 1)")
                }
                if !isProven(entry.commit, after: before) {
                    found.append("node \(node.index) holds height \(height + 1) without a majority")
                }
                before =
                    (try? before.after(entry.block.header, hash: entry.block.hash, commit: entry.commit.info))
                    ?? before
            }
        }
        return found
    }

    /// Verifies a commit once, because most nodes hold the same one.
    private func isProven(_ commit: VerifiedCommit, after state: ChainState) -> Bool {
        let id = Hash.sha256(of: commit.announcement.bytes + state.hash.array)
        if proven.contains(id) { return true }
        guard (try? VerifiedCommit(verifying: commit.announcement, after: state)) != nil else { return false }
        proven.insert(id)
        return true
    }

    var heights: [Int64] { nodes.map(\.machine.state.height) }
}
