import Chain
import Consensus
import Crypto
import Execution
import LibP2P
import Log
import Reactor
import Storage

/// What the services of a node share: its identity, its stores and the workers that may write to them.
///
/// `store` is appended to and `application` executes on their workers only. Any thread may read both.
struct NodeContext: Sendable {
    /// The capacity of a worker's queue, in jobs. Submitting to a full queue suspends the caller.
    static let workerCapacity = 1_024
    /// The maximum number of threads for checks unless the operator sets it: what more would verify, the mempool's one thread
    /// could not take in.
    static let mostCheckThreads = 16

    let genesis: Genesis
    let key: PrivateKey
    let configuration: Configuration
    let host: Host
    let store: BlockStore
    /// What has been committed, for all who read.
    let chain: ChainReader
    let votes: VoteLog
    let application: any Application
    let log: Log
    let metrics: NodeMetrics
    /// Runs the consensus machine.
    let consensus: Worker
    /// Runs `application`.
    let execution: Worker
    /// Appends to `store` and `votes`.
    let storage: Worker
    /// Writes and merges the files of the block index, so that commits do not wait behind them.
    let indexing: Worker
    /// Runs the mempool, and looks up accounts and whether transactions were committed.
    let mempool: Worker
    /// Hashes and checks signatures, of blocks, votes and commits with high priority, and of transactions with low. A pool, whose
    /// jobs read neither a disk nor the application.
    let checks: Worker
    /// Reads and compresses blocks for peers, and keeps unconfirmed transactions in a file while the node is stopped.
    let serving: Worker
    /// Reads blocks and transactions for clients, who must not wait behind peers, nor peers behind them.
    let blocks: Worker
    /// Reads accounts for clients, who must not wait behind large blocks.
    let accounts: Worker
    /// Answers clients' queries.
    let queries: any QueryService
    /// The wall clock, in milliseconds since 1970. Callable from any thread.
    let wallClock: @Sendable () -> UInt64
    let observer: NodeObserver
    /// The times at which blocks and transactions passed their stages.
    let traces: NodeTraces
    /// The number of blocks after which the chain's state is kept again.
    let stateInterval: Int64
    /// Whether this node takes proposals in the compact form. Without a mempool it would have to request all transactions.
    let takesCompactProposals: Bool
    /// The file of unconfirmed transactions while the node is stopped; nil to forget them.
    let mempoolFile: MempoolFile?

    /// The workers, except those of queries.
    var workers: [Worker] {
        [consensus, execution, storage, indexing, mempool, checks, serving, blocks, accounts]
    }
}
