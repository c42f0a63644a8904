import Crypto

/// What executing a block came to.
public struct ExecutionResult: Hashable, Sendable {
    /// An account that the block touched, as it is after it.
    public struct ChangedAccount: Hashable, Sendable {
        /// Whose account.
        public let id: AccountID
        /// The nonce of its last transaction in a block.
        public let nonce: UInt64
        /// What it holds.
        public let balance: Amount

        /// A changed account by its parts.
        public init(id: AccountID, nonce: UInt64, balance: Amount) {
            self.id = id
            self.nonce = nonce
            self.balance = balance
        }
    }

    /// The state's hash once the block is committed.
    public let appHash: Hash
    /// One for each of the block's transactions, in order.
    public let results: [TransactionResult]
    /// Network parameters that the block changes.
    public let parameterUpdates: ParameterUpdates
    /// Validators that the block adds, changes or (power 0) removes.
    public let validatorUpdates: [Validator]
    /// By account ID.
    public let accounts: [ChangedAccount]

    /// A result by its parts.
    public init(
        appHash: Hash, results: [TransactionResult], parameterUpdates: ParameterUpdates,
        validatorUpdates: [Validator], accounts: [ChangedAccount]
    ) {
        self.appHash = appHash
        self.results = results
        self.parameterUpdates = parameterUpdates
        self.validatorUpdates = validatorUpdates
        self.accounts = accounts
    }
}
