import Bytes
import Chain
import Crypto
import Multiformats
import Reactor
import TestSupport
import Testing

@testable import Consensus

/// A machine under test, which returns its actions as short lines.
struct Script {
    var machine: ConsensusMachine
    /// The published view of the machine.
    var published: ConsensusView
    var now: Duration = .zero
    /// The node's wall clock, in ms since 1970.
    var wallClock: UInt64 = 10_000
    /// Whether the disk reserves stamps as soon as the machine asks, without a line.
    var reservesAtOnce = true
    let chain: TestChain
    let key: PrivateKey

    init(
        _ chain: TestChain, as key: PrivateKey, state: ChainState? = nil, tipCommit: VerifiedCommit? = nil,
        lastVote: Vote? = nil, oldestVote: Int64? = nil, reservedStamp: Int64 = 0,
        recovered: Bool = true,
        change: (inout ConsensusSettings) -> Void = { _ in }
    ) {
        self.chain = chain
        self.key = key
        var settings = ConsensusSettings()
        settings.startDelay = .zero
        settings.minimumBlockInterval = .milliseconds(100)
        change(&settings)
        machine = ConsensusMachine(
            key: key.publicKey, state: state ?? chain.genesis, tipCommit: tipCommit, lastVote: lastVote,
            oldestVote: oldestVote ?? lastVote?.height, reservedStamp: reservedStamp,
            settings: settings, now: .zero)
        published = machine.view
        if recovered {
            machine.leader?.memory = .whole
            machine.armTimers(now)
        }
    }

    /// Runs a step of the machine. Returns its answer and its actions.
    private mutating func step<Answer>(
        _ body: (inout ConsensusMachine, Instant, inout [ConsensusAction]) -> Answer
    ) -> (answer: Answer, actions: [ConsensusAction]) {
        var actions: [ConsensusAction] = []
        let answer = body(&machine, Instant(elapsed: now, wallClock: wallClock), &actions)
        do throws(BrokenInvariant) { try machine.checkInvariants() } catch { Issue.record(error) }
        for case .publish(let view) in actions { published = view }
        actions.removeAll { if case .publish = $0 { true } else { false } }
        return (answer, actions)
    }

    mutating func actions(_ event: ConsensusEvent) -> [ConsensusAction] {
        var (_, actions) = step { $0.handle(event, at: $1, actions: &$2) }
        guard reservesAtOnce, let place = actions.firstIndex(where: \.isReservation),
            case .reserveStamps(let end) = actions.remove(at: place)
        else { return actions }
        return actions + self.actions(.stampsReserved(upTo: end))
    }

    mutating func send(_ event: ConsensusEvent) -> [String] { actions(event).map(Script.line) }

    // MARK: Questions; the answer's line comes first

    mutating func propose(_ proposal: VerifiedProposal, from peer: PeerID) -> [String] {
        let (answer, actions) = step { $0.admit(proposal, from: peer, at: $1, actions: &$2) }
        return Self.lines(answer, "proposal \(proposal.proposal.height)") + actions.map(Script.line)
    }

    mutating func fetchFailed(_ block: Hash, from peer: PeerID, height: Int64 = 1) -> [String] {
        let (answer, actions) = step { $0.proposalFetchFailed(block, from: peer, at: $1, actions: &$2) }
        return Self.lines(answer, "proposal \(height)") + actions.map(Script.line)
    }

    mutating func announce(_ commit: VerifiedCommit, from peer: PeerID) -> [String] {
        let (answer, actions) = step { $0.admit(commit, from: peer, at: $1, actions: &$2) }
        return Self.lines(answer, "decided \(commit.height)") + actions.map(Script.line)
    }

    mutating func tell(_ told: (status: VerifiedStatus, from: PeerID)) -> [String] {
        tell(told.status, from: told.from)
    }

    mutating func tell(_ status: VerifiedStatus, from peer: PeerID) -> [String] {
        let (answer, actions) = step { $0.admit(status, from: peer, at: $1, actions: &$2) }
        let lines =
            switch answer {
            case .nothing: [] as [String]
            case .proposal(let proposal): ["fetch proposal \(proposal.height)"]
            case .commit(let commit): ["fetch decided \(commit.height)"]
            }
        return lines + actions.map(Script.line)
    }

    mutating func actions(telling status: VerifiedStatus, from peer: PeerID) -> [ConsensusAction] {
        step { $0.admit(status, from: peer, at: $1, actions: &$2) }.actions
    }

    private static func lines(_ admission: Admission, _ what: String) -> [String] {
        switch admission {
        case .ignore: []
        case .fetch: ["fetch \(what)"]
        case .askOthersFirst: ["fetch \(what) elsewhere"]
        }
    }

    /// Advances the clock, then sends `timer`.
    mutating func wait(_ duration: Duration) -> [String] {
        now += duration
        return send(.timer)
    }

    /// Reports the machine's vote as recorded and signed.
    mutating func recorded(_ vote: Vote, _ answer: AckRes.Answer) -> [String] {
        send(
            .voteRecorded(
                vote, AckRes(height: vote.height, block: vote.blockHash, answer: answer, by: key)))
    }

    mutating func agreed(_ block: CheckedBlock) -> [String] {
        let appHash = TestChain.appHash(block)
        return recorded(
            Vote(
                height: block.height, stamp: block.stamp, blockHash: block.hash,
                decision: .ack(appHash: appHash)),
            .ack(appHash: appHash))
    }

    static func line(_ action: ConsensusAction) -> String {
        switch action {
        case .publish: "publish"
        case .build(let template): "build \(template.state.height + 1)\(template.mayBeEmpty ? " empty" : "")"
        case .reserveStamps(let end): "reserve to \(end)"
        case .execute(let block): "execute \(block.height)"
        case .stopExecution: "stop"
        case .rollBack: "roll back"
        case .commit(let block, _, let decision): "commit \(block.height) votes \(decision.info.votes.count)"
        case .commitRun(let run):
            "commit \(run.before.height + 1) to \(run.before.height + Int64(run.blocks.count))"
        case .vote(let vote, let answer, _): "vote \(vote.height) \(line(answer))"
        case .refuse(let height, _, let answer): "refuse \(height) \(line(answer))"
        case .sendAcknowledgement(let message): "send \(message.height) \(line(message.answer))"
        case .propose(let block, let stamp, let to):
            "propose \(block.height)\(stamp == block.stamp ? "" : " again") to \(to.map { "\($0.count)" } ?? "all")"
        case .fetchProposalElsewhere(let proposal, _): "fetch proposal \(proposal.proposal.height) elsewhere"
        case .fetchLocked(let height, _, let from): "fetch locked \(height) from \(from.count)"
        case .askStatus(let keys): "ask \(keys.count)"
        case .confirmCommit(let commit): "confirm \(commit.height)"
        case .announceAgain(let commit, let confirmed):
            "announce \(commit.height) again except \(confirmed.count)"
        case .relayProposal(let block, let stamp, _):
            "relay \(block.height)\(stamp == block.stamp ? "" : " again")"
        case .announce(let commit, let to): "announce \(commit.height) to \(to == nil ? "all" : "one")"
        case .catchUp(let height, _): "catch up to \(height)"
        case .broadcastReset(let reset): "reset to \(reset.height)"
        case .dropTransactions(let ids): "drop \(ids.count)"
        case .letDown(_, _, let times): "let down \(times)"
        case .misbehaved: "misbehaved"
        case .warn: "warn"
        case .halt(let error): "halt: \(error)"
        }
    }

    static func line(_ answer: AckRes.Answer) -> String {
        switch answer {
        case .ack: "ack"
        case .invalidBlock: "invalid block"
        case .outOfSync(let best, _): "out of sync at \(best.height)"
        case .unknown: "unknown"
        }
    }
}

extension ConsensusAction {
    fileprivate var isReservation: Bool {
        if case .reserveStamps = self { true } else { false }
    }
}
