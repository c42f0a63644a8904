import Chain
import Crypto
import Execution
import Multiformats
import Storage

/// What happens to a `ConsensusMachine`. Whatever came from a peer comes as evidence that its signatures were
/// checked (`VerifiedProposal` and its like) or as a `CheckedBlock`.
public enum ConsensusEvent: Sendable {
    /// `peer` announced a proposal. Answered by `fetchProposal` when its block is wanted.
    case proposed(VerifiedProposal, from: PeerID)
    /// The proposal's block arrived and agrees with its header.
    case proposalFetched(CheckedBlock, from: PeerID)
    /// The proposal's block did not come, or was not the one that was proposed.
    case proposalFetchFailed(Hash, from: PeerID)
    /// At least 64 KiB more of the proposal's block came from the peer that announced it.
    case proposalArriving(Hash, from: PeerID)
    /// The block is the one that the leader proposed, and holds something that no block may hold.
    case proposalInvalid(Block, reason: String)
    /// `peer` announced a committed block of a height that the machine's state can prove. Answered by
    /// `fetchDecided` when its block is wanted.
    case announced(VerifiedCommit, from: PeerID)
    /// A committed block is here with its proof: fetched after an announcement, or by catching up.
    case decided(VerifiedCommit, CheckedBlock)
    /// An announced block did not come.
    case decidedFetchFailed(Hash, from: PeerID)
    /// A peer answered `askStatus`, or told its status otherwise.
    case status(VerifiedStatus, from: PeerID)
    /// A peer announced the newest block once more.
    case announcedAgain(from: PeerID)
    /// A validator says that it has committed; its signature holds.
    case commitDone(CommitDone, from: PeerID)
    /// Answer to `fetchLocked`; its leader's signature holds.
    case lockedFetched(CheckedBlock)
    /// Answer to `fetchLocked`: nobody asked has the block.
    case lockedFetchFailed(Hash)
    /// Somebody says that it is at `height`. `isOwn`: a header of that height that this node's key has signed was seen.
    case ahead(height: Int64, isOwn: Bool, from: PeerID)
    /// A validator answered a proposal.
    case acknowledged(VerifiedAcknowledgement, from: PeerID)
    /// An answer in this node's own name came from elsewhere; its signature holds.
    case ownVoteHeard(VerifiedAcknowledgement)
    /// Another process has answered this one in this node's own name, so that both run now; its signature holds.
    case answeredInOwnName
    /// The leader says under which stamp it proposes a block.
    case stampTold(VerifiedStamp)
    /// The leader withdraws what it proposed after a height.
    case reset(VerifiedReset)
    /// A peer's connection and protocols are there.
    case peerReady(PeerID)
    /// Answer to `build`: the signed block, or nil when there was nothing to put into one.
    case built(CheckedBlock?)
    /// Answer to `reserveStamps`: on disk.
    case stampsReserved(upTo: Int64)
    /// Answer to `execute`.
    case executed(Hash, ExecutionResult)
    /// Answer to `execute`: nothing of the block remains in the application.
    case executionFailed(Hash, ExecutionError)
    /// Answer to `rollBack`.
    case rolledBack
    /// Answer to `recordVote`: on disk, and signed.
    case voteRecorded(Vote, AckRes)
    /// Answer to `commit`: in the block log and in the application.
    case committed(Hash)
    /// The disk or the application failed in a way that leaves no safe continuation.
    case failed(String)
    /// How many transactions wait in the mempool now.
    case mempool(count: Int)
    /// Catching up reached its target, or no peer has more.
    case syncFinished
    /// `ConsensusMachine.deadline` has passed.
    case timer
}

/// What a `ConsensusMachine` wants done. Those that name an answer get exactly one.
public enum ConsensusAction: Sendable {
    /// Take the block from the announcing peer: `proposalFetched`, `proposalFetchFailed` or `proposalInvalid`.
    case fetchProposal(VerifiedProposal, from: PeerID)
    /// Ask for a proposed block outside its announcement, the leader first, then others, but not its announcer:
    /// `proposalFetched`, `proposalFetchFailed` (from the same peer) or `proposalInvalid`.
    case fetchProposalElsewhere(VerifiedProposal, except: PeerID)
    /// Recovering leader: get a block that was acknowledged above the tip, from those who voted for it or anybody:
    /// `lockedFetched` or `lockedFetchFailed`.
    case fetchLocked(height: Int64, block: Hash, from: [PublicKey])
    /// Ask those of these who are connected for their consensus status of the next height: `status`.
    case askStatus(of: [PublicKey])
    /// Validator: tell the leader that this block is committed.
    case confirmCommit(VerifiedCommit)
    /// Leader: announce the newest block again to all but these validators, who confirmed it.
    case announceAgain(VerifiedCommit, except: [PublicKey])
    /// Take the block from the announcing peer: `decided` or `decidedFetchFailed`.
    case fetchDecided(VerifiedCommit, from: PeerID)
    /// Leader: make and sign the next block from the mempool: `built`.
    case build(BlockTemplate)
    /// Leader: have on disk that stamps up to this one may be used: `stampsReserved` or `failed`.
    case reserveStamps(upTo: Int64)
    /// Run the block's transactions on the application's prepared state: `executed` or `executionFailed`.
    case execute(CheckedBlock)
    /// The execution that runs is for nothing: make it give up. Its answer is the one to `execute`.
    case stopExecution
    /// Undo the prepared state: `rolledBack`, or `failed`.
    case rollBack
    /// Append to the block log (durable on return), then commit the application: `committed` or `failed`.
    case commit(CheckedBlock, ExecutionResult, VerifiedCommit)
    /// Record the vote on disk, then sign the answer that says it: `voteRecorded` or `failed`.
    case vote(Vote, AckRes.Answer)
    /// Sign this answer and send it like `sendAcknowledgement`. It is no vote: nothing is recorded.
    case refuse(height: Int64, block: Hash, AckRes.Answer)
    /// Send to the leader, directly and by gossip.
    case sendAcknowledgement(AckRes)
    /// Leader: offer the proposal to the validators, or to those among them that are listed.
    case propose(CheckedBlock, stamp: Int64, to: [PublicKey]?)
    /// Validator: offer the leader's proposal on to other validators, except the one it came from.
    case relayProposal(CheckedBlock, stamp: Int64, except: PeerID)
    /// Announce the committed block to one peer or, validators first, to all.
    case announce(VerifiedCommit, to: PeerID?)
    /// Fetch the blocks up to a height by `SyncPlanner` and hand each in as `decided`; then `syncFinished`.
    case catchUp(to: Int64, from: PeerID)
    /// Leader: tell the network that what was proposed after a height is withdrawn.
    case broadcastReset(ConsensusReset)
    /// Forget these transactions.
    case dropTransactions([Hash])
    /// The peer has announced a proposal and kept its block back, so often lately.
    case letDown(by: PeerID, block: Hash, times: Int)
    /// The peer broke the protocol.
    case misbehaved(PeerID, ConsensusError)
    /// Worth an operator's eye; nothing stops.
    case warn(StaticString, height: Int64, block: Hash, reason: String)
    /// The node must not go on: its state contradicts what the network committed, or its disk failed.
    case halt(ConsensusError)
}

/// What the leader's next block must carry besides its transactions and timestamp.
public struct BlockTemplate: Sendable {
    /// The chain that the block extends.
    public let state: ChainState
    /// The newest stamp that was used at this height, ms.
    public let after: Int64
    /// Transactions at most, while the leader looks for one that makes blocks fail.
    public let transactionLimit: Int
    /// The leader that the header must name, when this node begins to lead by promotion.
    public let newLeader: PublicKey?
    /// Whether a block without transactions is due.
    public let mayBeEmpty: Bool

    /// The header's time of a block that is built when the clock shows `wallClock`, ms since 1970: after the block
    /// before it, and as new as its stamp will be, unless a clock that was ahead has used stamps that are too far ahead for
    /// a block's time.
    public func timestamp(at wallClock: UInt64) -> UInt64 {
        let earliest = max(wallClock, BlockValidation.adding(state.timestamp, 1))
        let ordered = max(earliest, BlockValidation.adding(UInt64(clamping: after), 1))
        let latest = BlockValidation.latestTimestamp(
            after: state, wallClock: wallClock, skew: BlockValidation.allowedClockSkew / 2)
        return ordered <= latest ? ordered : earliest
    }
}

/// The waits of consensus. All are relative to the reactor's clock.
public struct ConsensusSettings: Sendable {
    /// Shortest time between two proposals of the leader.
    public var minimumBlockInterval: Duration = .milliseconds(100)
    /// Longest time without a block when there is no transaction; zero for never an empty block.
    public var emptyBlockInterval: Duration = .seconds(60)
    /// Wait of a starting leader, for peers to tell how high the chain is.
    public var startDelay: Duration = .seconds(1)
    /// Wait before an unanswered proposal is offered again, and an acknowledgement sent again; doubles each time.
    public var resendInterval: Duration = .seconds(2)
    /// Longest of these waits.
    public var maximumResendInterval: Duration = .seconds(30)
    /// Wait before a committed block is announced again to those who did not confirm it; doubles each time.
    public var announceInterval: Duration = .seconds(3)
    /// How long a restarted leader looks for the block that it had proposed before it makes another.
    public var recoveryPatience: Duration = .seconds(5)
    /// Wait for enough votes before the leader withdraws its proposal; doubles with each withdrawal at a height.
    public var proposalTimeout: Duration = .seconds(60)
    /// Wait for the first and each further part of a proposal's block before others than its announcer are asked, too.
    public var secondSourceWait: Duration = .seconds(2)
    /// Longest wait before another announcer is asked for a block that one peer is sending.
    public var fetchPatience: Duration = .seconds(10)

    /// A leader that this node's operator promotes.
    public var promotion: Promotion?

    /// The defaults.
    public init() {}
}
