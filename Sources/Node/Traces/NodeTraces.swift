import Chain
import Consensus
import Crypto
import Multiformats
import Reactor

/// What a node records of the stages of blocks and transactions (docs/operate/tracing.md).
struct NodeTraces: Sendable {
    let blocks: BlockTraces
    let transactions: TransactionTraces

    var histograms: NodeHistograms {
        NodeHistograms(blocks: blocks.histograms, transactions: transactions.histograms)
    }

    @ReactorActor init() {
        blocks = BlockTraces()
        transactions = TransactionTraces()
    }
}

/// How long the stages of blocks and of recorded transactions took on a node.
public struct NodeHistograms: Sendable {
    /// The stages of blocks.
    public let blocks: StageHistograms<BlockStage>
    /// The stages of transactions.
    public let transactions: StageHistograms<TransactionStage>
}

extension ConsensusService {
    /// Notes that a block passed a stage at `time`.
    func note(_ stage: BlockStage, _ height: Int64, _ hash: Hash, at time: Duration = Reactor.now) {
        context.traces.blocks.note(stage, height: height, hash: hash, as: view.role, at: time)
    }

    /// Notes that a block has come from a peer, or that this node has made it.
    func note(body block: Block, from source: PeerID?) {
        if source != nil { note(.body, block.height, block.hash) }
        context.traces.blocks.note(body: block, from: source)
    }

    /// Notes that a proposed block is checked.
    func note(verifiedProposal block: CheckedBlock) {
        note(.verified, block.height, block.hash)
        context.traces.transactions.note(.proposed, block.hashed.transactionIDs)
    }
}
