import Chain
import Crypto

/// A block whose bytes agree with its header: transaction count, Merkle root, and each transaction's form, chain and
/// signature (`BlockCheck`). `BlockValidation` checks whether it fits the chain. Creating one may verify thousands of
/// signatures: do so on a worker.
public final class CheckedBlock: Sendable {
    /// The block with its transactions' IDs.
    public let hashed: HashedBlock
    /// The decoded transactions, in the block's order.
    public let transactions: [Transaction]
    /// The block.
    public var block: Block { hashed.block }
    /// The block's hash, computed from its header's bytes.
    public var hash: Hash { block.hash }
    /// The block's header.
    public var header: BlockHeader { block.header }
    /// The block's height.
    public var height: Int64 { block.header.height }
    /// The header's timestamp as proposals and votes carry it, ms since 1970.
    public var stamp: Int64 { Int64(clamping: block.header.timestamp) }

    /// Checks a whole block on this thread.
    public convenience init(_ check: BlockCheck) throws(ConsensusError) {
        var pieces: [BlockCheck.Piece] = []
        for number in 0..<check.pieces { pieces.append(try check.check(number)) }
        self.init(check, pieces)
    }

    /// Creates a block from all pieces of its check, in order.
    public init(_ check: BlockCheck, _ pieces: [BlockCheck.Piece]) {
        hashed = check.hashed
        transactions = check.join(pieces)
    }

    /// Creates the leader's own block from transactions that its mempool has checked.
    public init(_ block: Block, madeOf transactions: [Transaction]) {
        hashed = HashedBlock(block, madeOf: transactions)
        self.transactions = transactions
    }

    /// Creates a block from this node's own log. Throws if its bytes are not a block of transactions.
    public init(kept hashed: HashedBlock) throws(ChainError) {
        self.hashed = hashed
        transactions = try hashed.decodedTransactions()
    }
}

extension HashedBlock {
    /// Hashes a block that a peer sent. Throws, without hashing the transactions, if its hash is not `expected`.
    public init(hashing block: Block, expected: Hash) throws(ConsensusError) {
        guard block.hash == expected else {
            throw .mismatch("asked for block \(expected), got \(block.hash)")
        }
        do throws(ChainError) { try self.init(hashing: block) } catch { throw .mismatch("\(error)") }
    }
}
