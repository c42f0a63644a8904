import Chain
import Crypto

/// What blocks do: executes their transactions and answers for the state that they leave.
///
/// The order at each height is `execute`, then the block log's fsync, then `commit`; or `rollback` in place of
/// the last two. After a crash the application stands at the log's tip or behind it, never ahead, and the node
/// executes the missing blocks again from the log.
///
/// `initialize`, `execute`, `commit` and `rollback` are called by one thread at a time, the execution worker's:
/// they take as long as the disk does. The rest may be called from any thread.
public protocol Application: AnyObject, Sendable {
    /// The last committed height and its application hash; the genesis height and zeros before the first block.
    var tip: ApplicationTip { get }

    /// Makes the state of the genesis when there is none yet, and makes sure that an older state is this
    /// chain's. To be called at each start before anything else.
    func initialize(_ genesis: Genesis) throws(ExecutionError)

    /// Runs a block whose height follows the tip's. What it did stays prepared, invisible to readers, until
    /// `commit` or `rollback`.
    ///
    /// `transactions` are the block's, decoded, in order, signatures checked; `parameters` and `validators` those
    /// that hold for the block. A transaction that fails gets its result code. An error thrown is this node's own, but
    /// for `overBudget`, which all nodes throw alike; it leaves nothing prepared.
    func execute(
        _ block: Block, transactions: [Transaction], parameters: NetworkParameters, validators: ValidatorSet
    ) throws(ExecutionError) -> ExecutionResult

    /// Makes `execute`, if it runs or else the next one, give up soon with `ExecutionError.stopped`. From any thread.
    func stop()

    /// Makes the prepared block's effects durable and visible.
    func commit() throws(ExecutionError)

    /// Undoes what is prepared; does nothing when nothing is.
    func rollback() throws(ExecutionError)

    /// An account by committed state; nil when no block has touched it.
    func account(_ id: AccountID) throws(ExecutionError) -> Account?

    /// The changes of the validator set that wait for approval by committed state, the oldest first.
    func validatorRequests() throws(ExecutionError) -> [ValidatorRequest]

    /// Answers a read-only statement from committed state. The calling thread waits, for at most `limits.time`
    /// once the query runs.
    func query(_ sql: String, _ parameters: [RawStatement.Parameter], limits: QueryLimits)
        throws(ExecutionError) -> QueryResult

    /// Undoes what is prepared and lets go of all files at once, whoever still refers to the application. What is
    /// asked afterwards throws `.closed`, or is answered from memory.
    func close()
}

/// Where an application stands.
public struct ApplicationTip: Hashable, Sendable {
    /// The last committed block's height.
    public let height: Int64
    /// The state's hash after it.
    public let appHash: Hash

    /// A tip by its parts.
    public init(height: Int64, appHash: Hash) {
        self.height = height
        self.appHash = appHash
    }
}

/// What an account holds.
public struct Account: Hashable, Sendable {
    /// Never negative.
    public var balance: Amount
    /// The nonce of the account's last transaction in a block; the next one's is one more.
    public var nonce: UInt64

    /// An account by its parts.
    public init(balance: Amount = .zero, nonce: UInt64 = 0) {
        self.balance = balance
        self.nonce = nonce
    }
}
