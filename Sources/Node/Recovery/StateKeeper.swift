import Chain
import Collections
import Consensus
import Crypto

/// Decides which state of the chain to keep beside the block log, and when (docs/storage.md, "State"). A machine.
///
/// A start must find an application that is at the kept state or beyond it. So while the node runs, a state is only kept
/// once the application has made it durable.
struct StateKeeper {
    /// The maximum number of states that wait for the application. With the default interval they cover the blocks that fit
    /// into the application's longest write-ahead log.
    static let waitingLimit = 64

    private let genesis: Hash
    /// The number of blocks from one state to the next.
    private let interval: Int64
    private var waiting = Deque<KeptState>()
    /// The height of the last state that waits or is kept.
    private var newest: Int64
    /// The state before the latest block; nil in an empty chain.
    private(set) var latest: KeptState?
    private var transactions: UInt64

    /// - Parameter kept: the height of the state in the file; 0 without one.
    init(genesis: Hash, interval: Int64, kept: Int64, latest: KeptState?, transactions: UInt64) {
        self.genesis = genesis
        self.interval = interval
        self.latest = latest
        self.transactions = transactions
        newest = kept
    }

    /// Notes that a block was committed on `state`, and that the application is durable up to `durable`. Returns the state to
    /// keep now, if any.
    mutating func committed(
        _ block: CheckedBlock, on state: ChainState, durable: Int64
    ) -> KeptState? {
        let kept = KeptState(
            genesis: genesis, state: state, block: block.hash, transactions: transactions)
        latest = kept
        transactions &+= UInt64(block.transactions.count)
        if block.height &- newest >= interval, waiting.count < StateKeeper.waitingLimit {
            waiting.append(kept)
            newest = block.height
        }
        var due: KeptState?
        while let first = waiting.first, first.state.height <= durable { due = waiting.popFirst() }
        return due
    }
}
