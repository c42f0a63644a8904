import Chain
import Crypto
import Execution
import Multiformats
import Reactor

/// What happens to a `ConsensusMachine`. Whatever came from a peer comes as evidence that its signatures were
/// checked (`VerifiedProposal` and its like) or as a `CheckedBlock`. What is answered at once is a question
/// (`ConsensusMachine.admit`) and no event.
public enum ConsensusEvent: MachineEvent {
    /// The proposal's block arrived and agrees with its header.
    case proposalFetched(CheckedBlock, from: PeerID)
    /// At least 64 KiB more of the proposal's block came from the peer that announced it.
    case proposalArriving(Hash, from: PeerID)
    /// The block is the one that the leader proposed, and holds something that no block may hold.
    case proposalInvalid(Block, reason: String)
    /// A committed block is here with its proof: fetched after an announcement, or by catching up.
    case decided(VerifiedCommit, CheckedBlock)
    /// An announced block did not come.
    case decidedFetchFailed(Hash, from: PeerID)
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
    /// What others may read of the machine is another. Comes before what else an event leads to.
    case publish(ConsensusView)
    /// Ask for a proposed block outside its announcement, the leader first, then others, but not its announcer:
    /// `proposalFetched`, `proposalInvalid`, or the question what follows from the failure.
    case fetchProposalElsewhere(VerifiedProposal, except: PeerID)
    /// Recovering leader: get a block that was acknowledged above the tip, from those who voted for it or anybody:
    /// `lockedFetched` or `lockedFetchFailed`.
    case fetchLocked(height: Int64, block: Hash, from: [PublicKey])
    /// Ask those of these who are connected for their consensus status of the next height, which `admit` takes.
    case askStatus(of: [PublicKey])
    /// Validator: tell the leader that this block is committed.
    case confirmCommit(VerifiedCommit)
    /// Leader: announce the newest block again to all but these validators, who confirmed it.
    case announceAgain(VerifiedCommit, except: [PublicKey])
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
    /// Record the vote on disk, then sign the answer that says it: `voteRecorded` or `failed`. The block is kept with it, if
    /// others may have to ask for it.
    case vote(Vote, AckRes.Answer, keeping: CheckedBlock?)
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
