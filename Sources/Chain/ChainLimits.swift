/// Bounds of the chain's formats (docs/wire.md, sections 3 and 4). A decoder refuses what exceeds them before
/// it allocates.
public enum ChainLimits {
    /// Bytes of a transaction that a reader accepts.
    public static let transactionBytes = 30_000_000
    /// Bytes of a block that a reader accepts.
    public static let blockBytes = 300_000_000
    /// The largest `max_block_size`: such a block with its header and lengths is still one that readers accept.
    public static let largestMaxBlockSize = Int64(blockBytes - transactionBytes)
    /// `max_block_size` where the genesis file names none: bytes of a block's transactions together.
    public static let defaultMaxBlockSize: Int64 = 6 * 1024 * 1024
    /// Bytes of a transaction's description.
    public static let descriptionBytes = 200
    /// Bytes of the chain ID of a genesis: `/kwil/chain/1.0.0/` and the ID are a protocol ID of an identify message, where
    /// 512 bytes are read. With a longer one no node would find another.
    public static let genesisChainIDBytes = 494
    /// Bytes of any chain ID that is read: what the exchange of `/noise-chainID` carries.
    public static let chainIDBytes = 4096
    /// Bytes of names on the wire: payload, signature and data types, serializations, parameters.
    public static let nameBytes = 256
    /// Decimal digits of an amount; 2^256 has 78, the rest is for sums and foreign chains.
    public static let amountDigits = 256
    /// The least bytes that a transaction takes in a block, its length included. It bounds what a transaction
    /// count in a header can make a decoder reserve.
    public static let leastTransactionBytes = 7
    /// Bytes of a commit info: some 100,000 votes.
    public static let commitInfoBytes = 16 * 1024 * 1024
    /// Bytes of an acknowledgement; the largest honest one carries a header with a new leader.
    public static let acknowledgementBytes = 2048
    /// Hashes in a consensus reset.
    public static let resetTransactions = 100_000
    /// Bytes of an account identifier.
    public static let identifierBytes = 1024
    /// Bytes of a transaction result's log; longer ones are cut at a character.
    public static let resultLogBytes = 4096
    /// The greatest height that a chain may start from, or that a configuration may name: half of what 64 bits count, so
    /// that no chain ever comes to the end of them.
    public static let greatestNamedHeight: Int64 = 1 << 62
    /// Bytes of a genesis file.
    public static let genesisBytes = 64 * 1024 * 1024
    /// `join_expiry` where the genesis file names none, in nanoseconds: one week, as kwil-db.
    public static let defaultJoinExpiry: Int64 = 7 * 24 * 3_600_000_000_000
    /// `max_votes_per_tx` where the genesis file names none.
    public static let defaultMaxVotesPerTransaction: Int64 = 200
}
