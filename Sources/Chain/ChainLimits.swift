/// Limits of the chain's formats (docs/wire.md, sections 3 and 4). A decoder rejects anything beyond them
/// before it allocates memory.
public enum ChainLimits {
    /// The maximum size of a transaction, in bytes.
    public static let transactionBytes = 30_000_000
    /// The maximum size of a block, in bytes.
    public static let blockBytes = 300_000_000
    /// The largest `max_block_size`: with its header and lengths, such a block is still within `blockBytes`.
    public static let largestMaxBlockSize = Int64(blockBytes - transactionBytes)
    /// The default of `max_block_size`: the total size of a block's transactions, in bytes.
    public static let defaultMaxBlockSize: Int64 = 6 * 1024 * 1024
    /// The maximum size of a transaction's description, in bytes.
    public static let descriptionBytes = 200
    /// The maximum size of a genesis file's chain ID, in bytes: `/kwil/chain/1.0.0/` and the ID form a
    /// protocol ID of an identify message, which is limited to 512 bytes. Nodes of a chain with a longer ID
    /// would not find each other.
    public static let genesisChainIDBytes = 494
    /// The maximum size of any chain ID, in bytes, as the exchange of `/noise-chainID` allows.
    public static let chainIDBytes = 4096
    /// The maximum size of names on the wire, in bytes: payload, signature and data types, serializations,
    /// parameters.
    public static let nameBytes = 256
    /// The maximum number of decimal digits of an amount. 2^256 has 78; the rest is for sums and foreign
    /// chains.
    public static let amountDigits = 256
    /// The minimum size of a transaction in a block, including its length, in bytes. It bounds how much a
    /// header's transaction count can make a decoder reserve.
    public static let leastTransactionBytes = 7
    /// The maximum size of a commit info, in bytes: some 100,000 votes.
    public static let commitInfoBytes = 16 * 1024 * 1024
    /// The maximum size of an acknowledgement, in bytes; the largest honest one carries a header with a new
    /// leader.
    public static let acknowledgementBytes = 2048
    /// The maximum number of hashes in a consensus reset.
    public static let resetTransactions = 100_000
    /// The maximum size of an account identifier, in bytes.
    public static let identifierBytes = 1024
    /// The maximum size of a transaction result's log, in bytes; longer logs are truncated between
    /// characters.
    public static let resultLogBytes = 4096
    /// The greatest height that a chain may start from or a configuration may name: half the range of 64
    /// bits, so that no chain ever reaches the end of it.
    public static let greatestNamedHeight: Int64 = 1 << 62
    /// The maximum size of a genesis file, in bytes.
    public static let genesisBytes = 64 * 1024 * 1024
    /// The default of `join_expiry`, in nanoseconds: one week, as in kwil-db.
    public static let defaultJoinExpiry: Int64 = 7 * 24 * 3_600_000_000_000
    /// The default of `max_votes_per_tx`.
    public static let defaultMaxVotesPerTransaction: Int64 = 200
}
