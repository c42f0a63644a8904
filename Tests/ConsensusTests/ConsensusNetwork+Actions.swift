import Chain
import Crypto
import Multiformats
import Reactor
import TestSupport

@testable import Consensus
@testable import Execution

/// Performs the machines' actions on simulated disks, processors and wires.
extension ConsensusNetwork {
    func perform(_ node: Node, _ action: ConsensusAction) throws {
        switch action {
        case .build(let template):
            local(node) {
                node.blocksBuilt += 1
                let stamp = template.timestamp(at: self.now + node.clockAway)
                let block = try self.chain.block(after: template.state, stamp: stamp, by: node.key) {
                    $0.newLeader = template.newLeader
                }
                try self.handle(node, .built(block))
                try self.handle(node, .mempool(hasTransactions: true))
            }
        case .reserveStamps(let end):
            local(node) {
                node.reservedStamp = end
                try self.handle(node, .stampsReserved(upTo: end))
            }
        case .execute(let block):
            local(node, 50) {
                let isStopped = node.isStopping
                node.isStopping = false
                if isStopped {
                    try self.handle(node, .executionFailed(block.hash, .stopped))
                } else if self.next(below: 1000) < self.faults.trouble {
                    try self.handle(node, .executionFailed(block.hash, .diskFull(file: "a")))
                } else {
                    try self.handle(node, .executed(block.hash, self.result(block)))
                }
            }
        case .stopExecution: node.isStopping = true
        case .rollBack:
            local(node) { try self.handle(node, .rolledBack) }
        case .commitRun(let run):
            local(node, 50) {
                if self.next(below: 1000) < self.faults.trouble { return try self.handle(node, .runFailed) }
                // A run may end early.
                let count = 1 + Int(self.next(below: UInt64(run.blocks.count)))
                for decided in run.blocks.prefix(count) { node.log.append((decided.block, decided.commit)) }
                self.local(node) {
                    try self.committed(node, run.blocks[count - 1].block.height, .runCommitted(count: count))
                }
            }
        case .commit(let block, _, let decision):
            local(node) {
                node.log.append((block, decision))
                self.local(node) { try self.committed(node, block.height, .committed(block.hash)) }
            }
        case .vote(let vote, let answer, let block):
            local(node) {
                let place = "\(node.index)/\(vote.height)/\(vote.stamp)"
                if let before = self.votes[place], before != vote.blockHash {
                    self.problems.append("\(place) votes for \(before) and \(vote.blockHash)")
                }
                self.votes[place] = vote.blockHash
                node.vote = vote
                node.votedBlock = block ?? node.votedBlock
                node.oldestVote = min(node.oldestVote ?? vote.height, vote.height)
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
        case .propose(let block, let stamp, let to):
            node.proposed[block.hash] = block
            offer(node, block, stamp: stamp) { other in to.map { $0.contains(other.key.publicKey) } ?? true }
            if stamp != block.stamp { tell(node, block, stamp) }
        case .relayProposal(let block, let stamp, let except):
            node.proposed[block.hash] = block
            offer(node, block, stamp: stamp) { $0.peer != except }
        case .announce(let commit, let to):
            for other in nodes where to == nil || other.peer == to {
                send(node, other) { try self.announced(other, commit, node.peer) }
            }
        case .catchUp(let height, let from):
            try plan(node, .start(target: height, from: from))
            for other in nodes where other !== node && other.isUp {
                try plan(node, .peer(other.peer, [.range, .height], trust: 0))
            }
        case .broadcastReset(let reset):
            for other in nodes {
                send(node, other, byGossip: true) {
                    guard let leader = other.machine.proposer,
                        let verified = try? LeaderMessage(reset, author: node.key.publicKey, leader: leader)
                    else { return }
                    try self.handle(other, .reset(verified))
                }
            }
        case .halt(let error): problems.append("node \(node.index) halts: \(error)")
        case .misbehaved(let peer, let error): problems.append("\(peer) misbehaved: \(error)")
        case .announceAgain(let commit, let confirmed):
            for other in nodes where !confirmed.contains(other.key.publicKey) {
                send(node, other) { try self.announced(other, commit, node.peer) }
            }
        case .askStatus(let keys):
            for other in nodes where keys.contains(other.key.publicKey) { ask(node, other) }
        case .confirmCommit(let commit):
            let message = CommitDone(
                height: commit.height, block: commit.hash, appHash: commit.appHash, by: node.key)
            for other in nodes where other.key.publicKey == node.machine.proposer {
                send(node, other) { try self.handle(other, .commitDone(message, from: node.peer)) }
            }
        case .fetchProposalElsewhere(let proposal, let announcer):
            fetchElsewhere(node, proposal.proposal, except: announcer)
        case .fetchLocked(let height, let hash, _):
            local(node, 30) {
                if let block = self.openBlock(height, hash, for: node) {
                    try self.handle(node, .lockedFetched(block))
                } else {
                    try self.handle(node, .lockedFetchFailed(hash))
                }
            }
        case .publish, .dropTransactions, .warn, .letDown: break
        }
    }

    private func committed(_ node: Node, _ height: Int64, _ event: ConsensusEvent) throws {
        let before = node.machine.state
        try handle(node, event)
        try handle(node, .mempool(hasTransactions: true))
        let after = node.machine.state
        try plan(
            node,
            .committed(
                height: height,
                newRules: after.validatorSetHash != before.validatorSetHash
                    || after.parametersHash != before.parametersHash))
    }

    // MARK: Fetching

    private func fetch(
        _ node: Node, _ proposal: BlockProposal, _ announcer: PeerID, as admission: Admission
    ) {
        switch admission {
        case .ignore: break
        case .fetch: fetch(node, proposal, from: announcer)
        case .askOthersFirst: fetchElsewhere(node, proposal, except: announcer)
        }
    }

    private func fetch(_ node: Node, _ proposal: BlockProposal, from announcer: PeerID) {
        local(node, 30) {
            if self.next(below: 1000) >= self.faults.loss, let other = self.node(announcer), other.isUp,
                let block = other.proposed[proposal.hash]
            {
                try self.handle(node, .proposalFetched(block, from: announcer))
            } else {
                try self.fetchFailed(node, proposal, announcer)
            }
        }
    }

    private func fetchElsewhere(_ node: Node, _ proposal: BlockProposal, except announcer: PeerID) {
        local(node, 30) {
            if let block = self.openBlock(proposal.height, proposal.hash, for: node) {
                try self.handle(node, .proposalFetched(block, from: announcer))
            } else {
                try self.fetchFailed(node, proposal, announcer)
            }
        }
    }

    private func fetchFailed(_ node: Node, _ proposal: BlockProposal, _ announcer: PeerID) throws {
        let admission = try ask(node) {
            $0.proposalFetchFailed(proposal.hash, from: announcer, at: $1, actions: &$2)
        }
        fetch(node, proposal, announcer, as: admission)
    }

    private func fetch(_ node: Node, _ commit: VerifiedCommit, from announcer: PeerID) {
        local(node, 30) {
            if self.next(below: 1000) >= self.faults.loss, let other = self.node(announcer), other.isUp,
                let entry = other.log.first(where: { $0.block.hash == commit.hash })
            {
                try self.handle(node, .decided(commit, entry.block))
            } else {
                try self.handle(node, .decidedFetchFailed(commit.hash, from: announcer))
            }
        }
    }

    /// Returns the result of executing a block, the same on every node.
    private func result(_ block: CheckedBlock) -> ExecutionResult {
        let plain = TestChain.result(block)
        return ExecutionResult(
            appHash: plain.appHash, results: plain.results, parameterUpdates: plain.parameterUpdates,
            validatorUpdates: changes[block.height] ?? [], accounts: [])
    }

    /// Returns a block above the tip, or a committed one, from any node that is up and reachable.
    private func openBlock(_ height: Int64, _ hash: Hash, for node: Node) -> CheckedBlock? {
        for other in nodes where other.isUp && next(below: 1000) >= faults.loss {
            if let block = other.machine.openBlock(height: height, hash: hash) { return block }
            if other !== node, let entry = other.log.first(where: { $0.block.hash == hash }) {
                return entry.block
            }
        }
        return nil
    }

    private func ask(_ node: Node, _ other: Node) {
        let height = node.machine.state.height + 1
        send(node, other) {
            let status = other.machine.status(of: height)
            self.send(other, node) {
                let machine = node.machine
                let verified = VerifiedStatus(
                    verifying: status, after: machine.state,
                    signers: machine.view.signers(ofProposalsFrom: other.peer))
                switch try self.ask(node, { $0.admit(verified, from: other.peer, at: $1, actions: &$2) }) {
                case .nothing: break
                case .proposal(let proposal): self.fetch(node, proposal, from: other.peer)
                case .commit(let commit): self.fetch(node, commit, from: other.peer)
                }
            }
        }
    }

    private func offer(_ node: Node, _ block: CheckedBlock, stamp: Int64, to wanted: (Node) -> Bool) {
        for other in nodes where wanted(other) {
            send(node, other) {
                let proposal = BlockProposal(block.block, sender: node.key.publicKey, stamp: stamp)
                let now = Duration.milliseconds(Int64(self.now))
                guard other.machine.wantsToCheck(proposal, from: node.peer, now: now) else {
                    return
                }
                for signer in other.machine.view.signers(ofProposalsFrom: node.peer) {
                    guard let verified = try? VerifiedProposal(verifying: proposal, leader: signer) else {
                        continue
                    }
                    let admission = try self.ask(other) {
                        $0.admit(verified, from: node.peer, at: $1, actions: &$2)
                    }
                    return self.fetch(other, proposal, node.peer, as: admission)
                }
            }
        }
    }

    /// Sends a proposal's stamp by gossip.
    private func tell(_ node: Node, _ block: CheckedBlock, _ stamp: Int64) {
        let told = ProposalStamp(height: block.height, block: block.hash, stamp: stamp)
        for other in nodes {
            send(node, other, byGossip: true) {
                guard let leader = other.machine.proposer,
                    let verified = try? LeaderMessage(told, author: node.key.publicKey, leader: leader)
                else { return }
                try self.handle(other, .stampTold(verified))
            }
        }
    }

    private func acknowledge(_ node: Node, _ message: AckRes) {
        // Gossip reaches all nodes.
        for other in nodes {
            send(node, other, byGossip: true) {
                guard other.machine.wantsToCheck(message, now: .milliseconds(Int64(self.now))),
                    let leader = other.machine.state.leader
                else { return }
                let verified = try VerifiedAcknowledgement(verifying: message, leader: leader)
                try self.handle(other, .acknowledged(verified, from: node.peer))
            }
        }
    }

    private func announced(_ node: Node, _ commit: VerifiedCommit, _ from: PeerID) throws {
        let machine = node.machine
        if commit.hash == machine.state.hash { try handle(node, .announcedAgain(from: from)) }
        guard machine.wantsToCheck(announcementOf: commit.hash, height: commit.height) else { return }
        if machine.view.canProve(commit.header) {
            let verified = try VerifiedCommit(
                verifying: commit.announcement, after: machine.state)
            let admission = try ask(node) { $0.admit(verified, from: from, at: $1, actions: &$2) }
            if admission == .fetch { fetch(node, verified, from: from) }
        } else {
            try handle(
                node,
                .ahead(
                    height: commit.height, isOwn: commit.announcement.verify(node.key.publicKey), from: from)
            )
        }
    }

    func plan(_ node: Node, _ event: Planner.Event) throws {
        var actions: [Planner.Action] = []
        let instant = Instant(elapsed: .milliseconds(Int64(now)), wallClock: 0)
        node.planner.handle(event, at: instant, actions: &actions)
        try node.planner.checkInvariants()
        for action in actions {
            switch action {
            case .request(let request): local(node, 30) { try self.answer(node, request) }
            case .cancel(let id): local(node) { try self.plan(node, .ended(request: id, .failed)) }
            case .check(let checks):
                let state = node.machine.state
                local(node) {
                    let judgements = checks.map { Planner.Judgement(of: $0, self.proof($0, after: state)) }
                    try self.plan(node, .judged(judgements))
                }
            case .deliver(_, let blocks): try handle(node, .synced(blocks))
            case .stalled: break
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

    private func answer(_ node: Node, _ request: Planner.Request) throws {
        guard next(below: 1000) >= faults.loss, let other = self.node(request.from), other.isUp else {
            return try plan(node, .ended(request: request.id, .failed))
        }
        let heights = request.first..<request.first + Int64(request.count)
        let found = other.log.filter { heights.contains($0.block.height) }
        // They come in pieces of different sizes.
        var rest = found[...]
        while let first = rest.first {
            let piece = rest.prefix(1 + Int(next(below: 9)))
            try plan(
                node,
                .blocks(
                    request: request.id, first: first.block.height,
                    piece.map { .init(DecidedBlock($0.commit, $0.block), size: 500) }))
            rest = rest.dropFirst(piece.count)
        }
        guard found.count == request.count else {
            return try plan(
                node, .ended(request: request.id, .lacks(best: other.machine.state.height)))
        }
        try plan(node, .ended(request: request.id, .done))
    }

    private func proof(_ check: Planner.Check, after state: ChainState) -> Planner.Verdict {
        do {
            let commit = try VerifiedCommit(verifying: check.block.commit.announcement, after: state)
            let block = check.block.block
            return .proven(DecidedBlock(commit, block), previous: block.header.previousHash)
        } catch ConsensusError.unproven where state.height + 1 != check.height {
            return .unproven
        } catch {
            problems.append("node holds a block \(check.height) that is wrong: \(error)")
            return .wrong
        }
    }
}
