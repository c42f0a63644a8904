import Bytes
import Chain
import Crypto

/// A block whose bytes agree with its header: transaction count, Merkle root, each transaction's form, chain and
/// signature. Whether it fits the chain is another question, `BlockValidation`'s. Making one hashes the whole
/// block and may check thousands of signatures: make it on a worker.
public final class CheckedBlock: Sendable {
    /// The block.
    public let block: Block
    /// The block's hash, computed from its header's bytes.
    public let hash: Hash
    /// The decoded transactions, in the block's order.
    public let transactions: [Transaction]
    /// Bytes of all transactions together.
    public let transactionBytes: Int

    /// The block's header.
    public var header: BlockHeader { block.header }
    /// The block's height.
    public var height: Int64 { block.header.height }
    /// The header's timestamp as proposals and votes carry it, ms since 1970.
    public var stamp: Int64 { Int64(clamping: block.header.timestamp) }

    /// - Parameters:
    ///   - expected: the hash that the leader signed; other bytes are refused before anything is checked.
    ///   - chainID: the chain that every transaction must name.
    ///   - known: gives a transaction that this node has already checked (its mempool's), so that no signature is
    ///     checked twice; called on the caller's thread.
    public init(
        checking block: Block, expected: Hash?, chainID: String, known: (Hash) -> Transaction?
    ) throws(ConsensusError) {
        let header = block.header
        let hash = block.hash
        if let expected, expected != hash {
            throw .mismatch("asked for block \(expected), got \(hash)")
        }
        var ids: [Hash] = []
        ids.reserveCapacity(block.transactions.count)
        var size = 0
        for bytes in block.transactions {
            let id = Hash.sha256(of: bytes)
            ids.append(id)
            size &+= bytes.count
        }
        guard MerkleTree.root(of: ids) == header.merkleRoot else {
            throw .mismatch("block \(hash) came with other transactions than its header's")
        }
        guard Set(ids).count == ids.count else {
            throw .invalidBlock(height: header.height, reason: "a transaction is in it twice")
        }
        var transactions: [Transaction] = []
        transactions.reserveCapacity(ids.count)
        for (id, bytes) in zip(ids, block.transactions) {
            if let transaction = known(id) {
                transactions.append(transaction)
                continue
            }
            do throws(ChainError) {
                let transaction = try Transaction(decoding: bytes)
                guard RawText(transaction.body.chainID) == RawText(chainID) else {
                    throw .wrongChain(transaction.body.chainID)
                }
                try transaction.verify()
                transactions.append(transaction)
            } catch {
                throw .invalidBlock(height: header.height, reason: "transaction \(id): \(error)")
            }
        }
        self.block = block
        self.hash = hash
        self.transactions = transactions
        self.transactionBytes = size
    }

    /// For the leader's own block, made of transactions that its mempool has checked, and for blocks that this
    /// node's own log holds.
    public init(trusting block: Block, transactions: [Transaction]) {
        self.block = block
        self.hash = block.hash
        self.transactions = transactions
        self.transactionBytes = block.transactions.reduce(0) { $0 &+ $1.count }
    }
}
