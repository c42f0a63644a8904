import Chain
import Crypto
import Multiformats
import Storage

@testable import Consensus
@testable import Execution

/// A few machines and what stands around them (disk, application, streams, gossip), all in one queue of events whose
/// order, delays, losses and repetitions come from a seed.
final class ConsensusNetwork {
    /// What goes wrong, in parts of a thousand.
    struct Faults {
        var loss: UInt64 = 0
        var repetition: UInt64 = 0
        var longestDelay: UInt64 = 20
    }

    final class Node {
        let index: Int
        let key: PrivateKey
        var machine: ConsensusMachine
        var planner: SyncPlanner<(VerifiedCommit, CheckedBlock)>
        var isUp = true
        /// Counts restarts: what was on its way for an earlier life is lost.
        var life = 0
        /// When its next alarm rings, ms.
        var alarm: UInt64?
        // Its disk: these survive a restart.
        var log: [(block: CheckedBlock, commit: VerifiedCommit)] = []
        var vote: Vote?
        // Not this one: what it offers as a proposal.
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
    var nodes: [Node] = []
    var faults = Faults()
    private(set) var problems: [String] = []
    /// Votes given, by voter, height and stamp: a second block there is treason.
    private var votes: [String: Hash] = [:]
    private var random: UInt64
    private var now: UInt64 = 0
    private var queue: [(at: UInt64, order: UInt64, run: () throws -> Void)] = []
    private var order: UInt64 = 0
    private var settings = ConsensusSettings()
    private(set) var events = 0

    init(validators: Int, sentries: Int, seed: UInt64) throws {
        chain = try TestChain(validators: validators)
        random = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        settings.startDelay = .milliseconds(200)
        settings.emptyBlockInterval = .seconds(5)
        settings.proposalTimeout = .seconds(20)
        let keys = chain.validators + (try (0..<sentries).map { try TestChain.key(100 + $0) })
        for (index, key) in keys.enumerated() { nodes.append(Node(index, key, machine(key, nil, []))) }
        for node in nodes {
            poke(node)
            connect(node)
        }
    }

    private func machine(
        _ key: PrivateKey, _ vote: Vote?, _ log: [(block: CheckedBlock, commit: VerifiedCommit)]
    ) -> ConsensusMachine {
        var state = chain.genesis
        for entry in log {
            if let next = try? state.after(
                entry.block.header, hash: entry.block.hash, commit: entry.commit.info)
            {
                state = next
            }
        }
        return ConsensusMachine(
            key: key.publicKey, state: state, tipCommit: log.last?.commit, lastVote: vote, settings: settings,
            now: .milliseconds(Int64(now)))
    }

    func next(below bound: UInt64) -> UInt64 {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return bound == 0 ? 0 : random % bound
    }

    // MARK: Time

    private func later(_ delay: UInt64, _ run: @escaping () throws -> Void) {
        order += 1
        let at = now + delay
        // Latest first; of one time, the newest first.
        var low = 0
        var high = queue.count
        while low < high {
            let middle = (low + high) / 2
            if queue[middle].at > at { low = middle + 1 } else { high = middle }
        }
        queue.insert((at, order, run), at: low)
    }

    /// Runs for so many milliseconds of virtual time.
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

    /// On a node's own disk and processor: never lost, but gone with the node.
    private func local(_ node: Node, _ longest: UInt64 = 10, _ run: @escaping () throws -> Void) {
        let life = node.life
        later(1 + next(below: longest)) { if node.isUp, node.life == life { try run() } }
    }

    /// From peer to peer: late, lost or twice.
    private func send(_ from: Node, _ to: Node, _ run: @escaping () throws -> Void) {
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
        node.machine = machine(node.key, node.vote, node.log)
        node.planner = SyncPlanner(tip: node.machine.state.height)
        poke(node)
        connect(node)
    }

    private func connect(_ node: Node) {
        for other in nodes where other !== node && other.isUp {
            send(other, node) { try self.handle(node, .peerReady(other.peer)) }
            send(node, other) { try self.handle(other, .peerReady(node.peer)) }
        }
    }

    private func poke(_ node: Node) {
        local(node) {
            try self.handle(node, .mempool(count: 1))
            self.alarm(node)
        }
    }

    private func node(_ peer: PeerID) -> Node? { nodes.first { $0.peer == peer } }

    func handle(_ node: Node, _ event: ConsensusEvent) throws {
        var actions: [ConsensusAction] = []
        node.machine.handle(event, now: .milliseconds(Int64(now)), actions: &actions)
        for action in actions { try perform(node, action) }
        alarm(node)
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

    private static func milliseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(seconds) * 1000 + UInt64(attoseconds / 1_000_000_000_000_000)
    }

    private func perform(_ node: Node, _ action: ConsensusAction) throws {
        switch action {
        case .fetchProposal(let proposal, let from):
            let hash = proposal.proposal.hash
            local(node, 30) {
                if self.next(below: 1000) >= self.faults.loss, let other = self.node(from), other.isUp,
                    let block = other.proposed[hash]
                {
                    try self.handle(
                        node, .proposalFetched(block, from: from, wallClock: self.now + 1_000_000))
                } else {
                    try self.handle(node, .proposalFetchFailed(hash, from: from))
                }
            }
        case .fetchDecided(let commit, let from):
            local(node, 30) {
                if self.next(below: 1000) >= self.faults.loss, let other = self.node(from), other.isUp,
                    let entry = other.log.first(where: { $0.block.hash == commit.hash })
                {
                    try self.handle(node, .decided(commit, entry.block))
                } else {
                    try self.handle(node, .decidedFetchFailed(commit.hash, from: from))
                }
            }
        case .build(let template):
            local(node) {
                node.blocksBuilt += 1
                let stamp = max(self.now, template.after + 1)
                try self.handle(node, .built(try self.chain.block(after: template.state, stamp: stamp)))
                try self.handle(node, .mempool(count: 1))
            }
        case .execute(let block):
            local(node, 50) { try self.handle(node, .executed(block.hash, TestChain.result(block))) }
        case .rollBack:
            local(node) { try self.handle(node, .rolledBack) }
        case .commit(let block, _, let decision):
            local(node) {
                node.log.append((block, decision))
                self.local(node) {
                    try self.handle(node, .committed(block.hash))
                    try self.handle(node, .mempool(count: 1))
                    try self.plan(node, .committed(height: block.height))
                }
            }
        case .vote(let vote, let answer):
            local(node) {
                let place = "\(node.index)/\(vote.height)/\(vote.stamp)"
                if let before = self.votes[place], before != vote.blockHash {
                    self.problems.append("\(place) votes for \(before) and \(vote.blockHash)")
                }
                self.votes[place] = vote.blockHash
                node.vote = vote
                self.local(node) {
                    try self.handle(
                        node,
                        .voteRecorded(
                            vote,
                            AckRes(height: vote.height, block: vote.blockHash, answer: answer, by: node.key)))
                }
            }
        case .refuse(let height, let block, let answer):
            acknowledge(node, AckRes(height: height, block: block, answer: answer, by: node.key))
        case .sendAcknowledgement(let message):
            acknowledge(node, message)
        case .propose(let block, let to):
            node.proposed[block.hash] = block
            offer(node, block) { other in to.map { $0.contains(other.key.publicKey) } ?? true }
        case .relayProposal(let block, let except):
            node.proposed[block.hash] = block
            offer(node, block) { $0.peer != except }
        case .announce(let commit, let to):
            for other in nodes where to == nil || other.peer == to {
                send(node, other) { try self.announced(other, commit, node.peer) }
            }
        case .catchUp(let height, let from):
            try plan(node, .start(target: height, from: from))
            for other in nodes where other !== node && other.isUp {
                try plan(node, .peer(other.peer, best: nil))
            }
        case .broadcastReset(let reset):
            for other in nodes {
                send(node, other) {
                    let leader = self.chain.leader.publicKey
                    let verified = try VerifiedReset(reset, author: leader, leader: leader)
                    try self.handle(other, .reset(verified))
                }
            }
        case .halt(let error): problems.append("node \(node.index) halts: \(error)")
        case .misbehaved(let peer, let error): problems.append("\(peer) misbehaved: \(error)")
        case .dropTransactions, .warn: break
        }
    }

    private func offer(_ node: Node, _ block: CheckedBlock, to wanted: (Node) -> Bool) {
        for other in nodes where wanted(other) {
            send(node, other) {
                let proposal = BlockProposal(block.block, sender: node.key.publicKey)
                guard other.machine.wantsToCheck(proposal, now: .milliseconds(Int64(self.now))) else {
                    return
                }
                let verified = try VerifiedProposal(verifying: proposal, leader: self.chain.leader.publicKey)
                try self.handle(other, .proposed(verified, from: node.peer))
            }
        }
    }

    private func acknowledge(_ node: Node, _ message: AckRes) {
        let leader = nodes[0]
        send(node, leader) {
            guard leader.machine.wantsToCheck(message, now: .milliseconds(Int64(self.now))) else { return }
            try self.handle(leader, .acknowledged(try self.chain.verified(message), from: node.peer))
        }
    }

    private func announced(_ node: Node, _ commit: VerifiedCommit, _ from: PeerID) throws {
        let machine = node.machine
        guard machine.wantsToCheck(announcementOf: commit.hash, height: commit.height) else { return }
        if machine.canProve(commit.header) {
            let verified = try VerifiedCommit(
                verifying: commit.announcement, after: machine.state)
            try handle(node, .announced(verified, from: from))
        } else {
            try handle(node, .ahead(height: commit.height, proven: true, from: from))
        }
    }

    private func plan(_ node: Node, _ event: SyncPlanner<(VerifiedCommit, CheckedBlock)>.Event) throws {
        var actions: [SyncPlanner<(VerifiedCommit, CheckedBlock)>.Action] = []
        node.planner.handle(event, now: .milliseconds(Int64(now)), actions: &actions)
        for action in actions {
            switch action {
            case .request(let height, let from):
                local(node, 30) {
                    guard self.next(below: 1000) >= self.faults.loss, let other = self.node(from), other.isUp
                    else {
                        return try self.plan(node, .failed(height: height, from: from))
                    }
                    guard let entry = other.log.first(where: { $0.block.height == height }) else {
                        return try self.plan(
                            node, .notFound(height: height, from: from, best: other.machine.state.height))
                    }
                    try self.plan(
                        node, .block(height: height, (entry.commit, entry.block), size: 500, from: from))
                }
            case .deliver(_, let block): try handle(node, .decided(block.0, block.1))
            case .finished: try handle(node, .syncFinished)
            }
        }
        if let deadline = node.planner.deadline {
            let at = Self.milliseconds(deadline) + 1
            let life = node.life
            later(at > now ? at - now : 1) {
                if node.isUp, node.life == life, node.planner.deadline == deadline {
                    try self.plan(node, .timer)
                }
            }
        }
    }

    // MARK: What must hold

    /// Forks, uncommitted blocks and whatever happened on the way; empty when all is well.
    func check() -> [String] {
        var found = problems
        let longest = nodes.map(\.log).max { $0.count < $1.count } ?? []
        for node in nodes {
            for (height, entry) in node.log.enumerated() {
                if entry.block.hash != longest[height].block.hash
                    || entry.commit.appHash != longest[height].commit.appHash
                {
                    found.append("node \(node.index) forks at height \(height + 1)")
                }
                if !entry.commit.info.isCommitted(block: entry.block.hash, by: chain.genesis.validators) {
                    found.append("node \(node.index) holds height \(height + 1) without a majority")
                }
            }
        }
        return found
    }

    var heights: [Int64] { nodes.map(\.machine.state.height) }
}
