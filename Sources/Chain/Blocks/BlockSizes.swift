/// The maximum sizes of a block and its commit info under a chain's rules: what a reader accepts from a peer,
/// whose blocks can be verified only when complete.
public struct BlockSizes: Hashable, Sendable {
    /// The maximum size of a header and a signature with their lengths, in bytes.
    static let headBytes = 1_024
    /// The maximum size of a commit info besides its updates and the votes of the current validators, in
    /// bytes. It leaves room for some thousand validators that may have joined by the height of an
    /// announcement that a lagging node receives.
    static let infoHeadBytes = 1 << 20
    /// The maximum size of a vote, in bytes: its length, key, signature, status and a differing application
    /// hash.
    static let voteBytes = 256

    /// The maximum size of a block, in bytes.
    public let block: Int
    /// The maximum size of its commit info, in bytes.
    public let commitInfo: Int

    /// The sizes that the formats allow, for readers without a chain.
    public static let largest = BlockSizes(
        block: ChainLimits.blockBytes, commitInfo: ChainLimits.commitInfoBytes)
}

extension BlockSizes {
    /// Creates the sizes that follow from the parameters and the number of validators under which a block is
    /// made, limited to what the formats allow.
    ///
    /// `max_block_size` excludes the transactions' lengths, which are at most a sixth of the shortest
    /// transactions. Each update in a commit info comes from a longer transaction.
    public init(_ parameters: NetworkParameters, validators: Int) {
        let transactions = Int(clamping: parameters.maxBlockSize)
        let lengths = transactions / (ChainLimits.leastTransactionBytes - 1)
        let votes = validators.multipliedReportingOverflow(by: Self.voteBytes)
        func sum(_ parts: [Int], _ limit: Int) -> Int {
            parts.reduce(0) { min(limit, $0.addingReportingOverflow(min($1, limit)).partialValue) }
        }
        block = sum([transactions, lengths, Self.headBytes], ChainLimits.blockBytes)
        commitInfo = sum(
            [votes.overflow ? .max : votes.partialValue, transactions, Self.infoHeadBytes],
            ChainLimits.commitInfoBytes)
    }
}
