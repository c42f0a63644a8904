import Crypto

/// The result of executing a block.
public struct ExecutionResult: Hashable, Sendable {
    /// An account touched by the block, in its state after it.
    public struct ChangedAccount: Hashable, Sendable {
        /// The account's owner.
        public let id: AccountID
        /// The nonce of its last transaction in a block.
        public let nonce: UInt64
        /// The balance.
        public let balance: Amount

        /// Creates a changed account from its parts.
        public init(id: AccountID, nonce: UInt64, balance: Amount) {
            self.id = id
            self.nonce = nonce
            self.balance = balance
        }
    }

    /// The application hash after the block.
    public let appHash: Hash
    /// The results of the block's transactions, in order.
    public let results: [TransactionResult]
    /// Changes of network parameters.
    public let parameterUpdates: ParameterUpdates
    /// Changes of validators; power 0 removes one.
    public let validatorUpdates: [Validator]
    /// The changed accounts, ordered by account ID.
    public let accounts: [ChangedAccount]

    /// Creates a result from its parts.
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
