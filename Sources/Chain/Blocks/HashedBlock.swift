import Crypto

/// A block whose transactions match its header: their IDs, hashed once in the block's lifetime on a node,
/// have the header's Merkle root (docs/wire.md, section 4).
///
/// Immutable; may be read from any thread.
public struct HashedBlock: Sendable {
    /// The block.
    public let block: Block
    /// The SHA-256 of each transaction, in the block's order.
    public let transactionIDs: [Hash]

    /// Hashes every transaction and the Merkle tree above them: call it on a worker. Throws
    /// `wrongTransactions` if the header has another root.
    public init(hashing block: Block) throws(ChainError) {
        let ids = block.transactions.map { Hash.sha256(of: $0) }
        guard MerkleTree.root(of: ids) == block.header.merkleRoot else {
            throw .wrongTransactions(block.hash)
        }
        self.block = block
        transactionIDs = ids
    }

    /// Wraps a block of which a `BlockAssembly` has compared these IDs, the SHA-256 of each transaction, with the header.
    init(_ block: Block, _ transactionIDs: [Hash]) {
        self.block = block
        self.transactionIDs = transactionIDs
    }

    /// Wraps a block that this node made from these transactions.
    public init(_ block: Block, madeOf transactions: [Transaction]) {
        self.block = block
        transactionIDs = transactions.map(\.id)
    }

    /// Decodes the block's transaction at an index. Does not verify it.
    public func transaction(at index: Int) throws(ChainError) -> Transaction {
        try Transaction(decoding: block.transactions[index], id: transactionIDs[index])
    }

    /// Decodes all transactions. Verifies none.
    public func decodedTransactions() throws(ChainError) -> [Transaction] {
        try transactionIDs.indices.map { index throws(ChainError) in try transaction(at: index) }
    }
}
