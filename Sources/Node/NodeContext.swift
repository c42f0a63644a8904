import Chain
import Consensus
import Crypto
import Execution
import LibP2P
import Log
import Reactor
import Storage

/// What the services of one node share: its identity, its stores and the workers that may touch them.
///
/// `store` and `application` are appended to and executed on their workers only; both may be read from anywhere.
@ReactorActor
final class NodeContext {
    /// Jobs that wait for a worker at most; beyond that whoever hands one in waits.
    nonisolated static let workerCapacity = 1_024
    /// Workers that prove blocks. Execution takes a core too, so more gain little on small machines.
    nonisolated static let proofWorkers = 2

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
    /// Runs the consensus machine.
    let consensus: Worker
    /// Runs `application`.
    let execution: Worker
    /// Appends to `store` and `votes`.
    let storage: Worker
    /// Runs the mempool, and looks up in `store` whether transactions were mined.
    let mempool: Worker
    /// Checks the signatures of messages and transactions.
    let checks: Worker
    /// Checks what consensus waits for, blocks, votes and commits: never behind transactions.
    let consensusChecks: Worker
    /// Prove blocks while the node catches up: what consensus checks meanwhile does not wait behind them.
    let proofs: [Worker]
    /// Reads and compresses blocks for peers, so that the node's own checks do not wait behind it.
    let serving: Worker
    /// Looks up accounts and blocks for clients: never behind a query.
    let lookups: Worker
    /// Answers clients' queries.
    let queries: any QueryService
    /// Milliseconds since 1970.
    let wallClock: @Sendable () -> UInt64
    let observer: NodeObserver
    /// Where waiting transactions are while the node is stopped; nil where they are forgotten.
    let mempoolFile: MempoolFile?

    init(
        genesis: Genesis, key: PrivateKey, configuration: Configuration, host: Host, store: BlockStore,
        votes: VoteLog, application: any Application, log: Log, consensus: Worker, execution: Worker,
        storage: Worker, mempool: Worker, checks: Worker, consensusChecks: Worker, proofs: [Worker],
        serving: Worker, lookups: Worker, queries: any QueryService,
        wallClock: @escaping @Sendable () -> UInt64, observer: NodeObserver, mempoolFile: MempoolFile? = nil
    ) {
        self.genesis = genesis
        self.key = key
        self.configuration = configuration
        self.host = host
        self.store = store
        chain = ChainReader(store)
        self.votes = votes
        self.application = application
        self.log = log
        self.consensus = consensus
        self.execution = execution
        self.storage = storage
        self.mempool = mempool
        self.checks = checks
        self.consensusChecks = consensusChecks
        self.proofs = proofs
        self.serving = serving
        self.lookups = lookups
        self.queries = queries
        self.wallClock = wallClock
        self.observer = observer
        self.mempoolFile = mempoolFile
    }
}
