import Chain
import Crypto

/// Executes the transactions of blocks and keeps the resulting state (docs/execution.md).
///
/// At each height the node calls `execute`, waits for the block log's fsync, and calls `commit`; or it calls `rollback`
/// instead of the last two. Several blocks that the network has committed are executed one after another, and then committed
/// together. After a crash the application is at the log's tip or behind it, never ahead, and the node executes the missing
/// blocks again from the log.
///
/// `initialize`, `execute`, `commit` and `rollback` wait for the disk; only the execution worker calls them. The other
/// methods are safe on any thread.
public protocol Application: AnyObject, Sendable {
    /// The last committed height and its app hash; before the first block, the genesis height and zeros.
    var tip: ApplicationTip { get }

    /// A height whose state survives a power failure, as far as the application knows: at most that of `tip`, and
    /// `Int64.min` if it knows none. A later start executes at most the blocks above it again.
    var durableHeight: Int64 { get }

    /// Creates the genesis state, or checks that existing state belongs to this genesis. Call it first at each start.
    func initialize(_ genesis: Genesis) throws(ExecutionError)

    /// Executes the block after the last prepared one, or after the tip if none is prepared. Its effects stay prepared,
    /// invisible to readers, until `commit` or `rollback`.
    ///
    /// `transactions` are those of the block in order, decoded, with verified signatures; `parameters` and `validators`
    /// are those in effect for the block. A failed transaction gets a result code. A thrown error is a failure of this
    /// node, except `overBudget`, which every node throws, and `commitFirst`, which asks to commit the prepared blocks. After
    /// an error other than `outOfOrder` and `commitFirst` nothing is prepared, earlier blocks included.
    func execute(
        _ block: Block, transactions: [Transaction], parameters: NetworkParameters, validators: ValidatorSet
    ) throws(ExecutionError) -> ExecutionResult

    /// Makes the current or next `execute` soon throw `ExecutionError.stopped`. Safe on any thread.
    func stop()

    /// Makes the prepared blocks' effects visible, all or none, and durable unless the power fails.
    func commit() throws(ExecutionError)

    /// Undoes the prepared blocks, if any.
    func rollback() throws(ExecutionError)

    /// Returns an account from committed state; nil if no block has touched it.
    func account(_ id: AccountID) throws(ExecutionError) -> Account?

    /// Returns the pending changes of the validator set in committed state, oldest first.
    func validatorRequests() throws(ExecutionError) -> [ValidatorRequest]

    /// Executes a read-only statement on committed state. Blocks the calling thread, for at most `limits.time` once the
    /// query runs.
    func query(_ sql: String, _ parameters: [RawStatement.Parameter], limits: QueryLimits)
        throws(ExecutionError) -> QueryResult

    /// Undoes the prepared blocks and closes all files, even while others still hold a reference. Later calls throw
    /// `.closed` or are answered from memory.
    func close()
}

/// The last block that an application has committed.
public struct ApplicationTip: Hashable, Sendable {
    /// The block's height.
    public let height: Int64
    /// The app hash after the block.
    public let appHash: Hash
}

/// The balance and nonce of an account.
public struct Account: Hashable, Sendable {
    /// The balance, never negative.
    public var balance: Amount
    /// The nonce of the account's last transaction in a block. The next transaction must have this nonce plus one.
    public var nonce: UInt64

    /// Creates an account from its parts.
    public init(balance: Amount = .zero, nonce: UInt64 = 0) {
        self.balance = balance
        self.nonce = nonce
    }
}
