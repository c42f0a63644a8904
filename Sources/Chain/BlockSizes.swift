/// How many bytes a block and its commit info can have under a chain's rules: what a reader takes from a peer, whose
/// blocks are proved only when they are whole.
public struct BlockSizes: Hashable, Sendable {
    /// Bytes of a header, a signature and their lengths.
    static let headBytes = 1_024
    /// Bytes of a commit info beside its updates and the votes of the validators known now: some thousands more may have
    /// joined by the height of an announcement that a node far behind hears.
    static let infoHeadBytes = 1 << 20
    /// Bytes of one vote at most, its length included: key, signature, status and another application hash.
    static let voteBytes = 256

    /// Bytes of a whole block.
    public let block: Int
    /// Bytes of its commit info.
    public let commitInfo: Int

    /// What the formats allow: for whoever knows no chain.
    public static let largest = BlockSizes(
        block: ChainLimits.blockBytes, commitInfo: ChainLimits.commitInfoBytes)

    private init(block: Int, commitInfo: Int) {
        self.block = block
        self.commitInfo = commitInfo
    }

    /// What follows from the parameters and the number of validators under which a block is made; never more than the
    /// formats allow.
    ///
    /// `max_block_size` counts the transactions without their lengths, which are at most a sixth of the shortest ones.
    /// Each update in a commit info comes from a transaction that is longer than it.
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
