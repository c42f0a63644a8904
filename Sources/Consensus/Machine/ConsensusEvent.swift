import Chain
import Crypto
import Execution
import Multiformats
import Reactor

/// An event of a `ConsensusMachine`. Peers' messages have types that prove their signatures were checked
/// (`VerifiedCommit` and others) or are `CheckedBlock`s. Messages that need an answer at once are questions instead
/// (`ConsensusMachine.admit`).
public enum ConsensusEvent: MachineEvent {
    /// The proposal's block arrived and agrees with its header.
    case proposalFetched(CheckedBlock, from: PeerID)
    /// At least 64 KiB more of the proposal's block arrived from its announcer.
    case proposalArriving(Hash, from: PeerID)
    /// The block is the proposed one, but contains something that no block may contain.
    case proposalInvalid(Block, reason: String)
    /// A committed block is here with its commit, fetched after an announcement.
    case decided(VerifiedCommit, CheckedBlock)
    /// Consecutive committed blocks are here, synced.
    case synced([DecidedBlock])
    /// Fetching an announced block failed.
    case decidedFetchFailed(Hash, from: PeerID)
    /// A peer announced the newest block again.
    case announcedAgain(from: PeerID)
    /// A validator reported that it has committed; its signature is valid.
    case commitDone(CommitDone, from: PeerID)
    /// Answer to `fetchLocked`; the leader's signature is valid.
    case lockedFetched(CheckedBlock)
    /// Answer to `fetchLocked`: no queried peer has the block.
    case lockedFetchFailed(Hash)
    /// A peer claimed to be at `height`. `isOwn`: it sent a header of that height signed with this node's key.
    case ahead(height: Int64, isOwn: Bool, from: PeerID)
    /// A validator answered a proposal.
    case acknowledged(VerifiedAcknowledgement, from: PeerID)
    /// A peer sent an answer signed with this node's key; its signature is valid.
    case ownVoteHeard(VerifiedAcknowledgement)
    /// Another process with this node's key has answered this one, so both are running; its signature is valid.
    case answeredInOwnName
    /// The leader reported the stamp under which it proposes a block.
    case stampTold(LeaderMessage<ProposalStamp>)
    /// The leader withdrew its proposal above a height.
    case reset(LeaderMessage<ConsensusReset>)
    /// A peer is connected and its protocols are known.
    case peerReady(PeerID)
    /// Answer to `build`: the signed block, or nil if it would have had no content.
    case built(CheckedBlock?)
    /// Answer to `reserveStamps`: the reservation is on disk.
    case stampsReserved(upTo: Int64)
    /// Answer to `execute`.
    case executed(Hash, ExecutionResult)
    /// Answer to `execute`: it failed, and the application has rolled the block back.
    case executionFailed(Hash, ExecutionError)
    /// Answer to `rollBack`.
    case rolledBack
    /// Answer to `vote`: the vote is on disk, and its answer is signed.
    case voteRecorded(Vote, AckRes)
    /// Answer to `commit`: the block is in the block log and in the application.
    case committed(Hash)
    /// Answer to `commitRun`: the first blocks of the run, so many, are in the block log and in the application.
    case runCommitted(count: Int)
    /// Answer to `commitRun`: a block of the run could not be executed as the network did, and all are rolled back.
    case runFailed
    /// The disk or the application failed, so that continuing would not be safe.
    case failed(String)
    /// Whether the mempool has transactions that a block may hold now.
    case mempool(hasTransactions: Bool)
    /// Syncing has reached its target, or no peer has more blocks.
    case syncFinished
    /// `ConsensusMachine.deadline` has passed.
    case timer
}

/// An action of a `ConsensusMachine`. Each that names an answer gets exactly one.
public enum ConsensusAction: Sendable {
    /// The view has changed. Precedes the other actions of the same event.
    case publish(ConsensusView)
    /// Fetch a proposed block from peers other than its announcer, the leader first: `proposalFetched`,
    /// `proposalInvalid` or the question `proposalFetchFailed`.
    case fetchProposalElsewhere(VerifiedProposal, except: PeerID)
    /// Recovering leader: fetch a block that was acknowledged above the tip, from the validators that voted for it or
    /// from any peer: `lockedFetched` or `lockedFetchFailed`.
    case fetchLocked(height: Int64, block: Hash, from: [PublicKey])
    /// Ask the connected ones of these validators for their consensus status at the next height, for `admit`.
    case askStatus(of: [PublicKey])
    /// Validator: tell the leader that this block is committed.
    case confirmCommit(VerifiedCommit)
    /// Leader: announce the newest block again, except to these validators, which have confirmed it.
    case announceAgain(VerifiedCommit, except: [PublicKey])
    /// Leader: make and sign the next block from the mempool: `built`.
    case build(BlockTemplate)
    /// Leader: reserve stamps up to this one on disk: `stampsReserved` or `failed`.
    case reserveStamps(upTo: Int64)
    /// Run the block's transactions on the application's prepared state: `executed` or `executionFailed`.
    case execute(CheckedBlock)
    /// Stop the current execution, which is no longer needed. `execute` is still answered.
    case stopExecution
    /// Roll back the prepared state: `rolledBack` or `failed`.
    case rollBack
    /// Append to the block log (durable on return), then commit the application: `committed` or `failed`.
    case commit(CheckedBlock, ExecutionResult, VerifiedCommit)
    /// Execute the blocks of the run, as many as there is time for; append them to the block log (durable on return), then
    /// commit the application: `runCommitted`, `runFailed` or `failed`.
    case commitRun(DecidedRun)
    /// Record the vote on disk, with the block that others may ask for, then sign the answer: `voteRecorded` or
    /// `failed`.
    case vote(Vote, AckRes.Answer, keeping: CheckedBlock?)
    /// Sign this answer and send it like `sendAcknowledgement`. It is not recorded, because it is not a vote.
    case refuse(height: Int64, block: Hash, AckRes.Answer)
    /// Send to the leader, directly and by gossip.
    case sendAcknowledgement(AckRes)
    /// Leader: announce the proposal to these validators, or to all of them.
    case propose(CheckedBlock, stamp: Int64, to: [PublicKey]?)
    /// Validator: announce the leader's proposal to the other validators, except to the one it came from.
    case relayProposal(CheckedBlock, stamp: Int64, except: PeerID)
    /// Announce the committed block to one peer or, validators first, to all.
    case announce(VerifiedCommit, to: PeerID?)
    /// Sync to a height with `SyncPlanner`: `synced` for all blocks, in order, then `syncFinished`.
    case catchUp(to: Int64, from: PeerID)
    /// Leader: broadcast that the proposal above a height is withdrawn.
    case broadcastReset(ConsensusReset)
    /// Drop these transactions.
    case dropTransactions([Hash])
    /// The peer announced a proposal and withheld its block, for the `times`th time lately.
    case letDown(by: PeerID, block: Hash, times: Int)
    /// The peer broke the protocol.
    case misbehaved(PeerID, ConsensusError)
    /// A warning for the operator; the node goes on.
    case warn(StaticString, height: Int64, block: Hash, reason: String)
    /// The node must not go on: its state contradicts what the network committed, or its disk failed.
    case halt(ConsensusError)
}
