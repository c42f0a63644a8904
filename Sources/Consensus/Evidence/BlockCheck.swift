import Bytes
import Chain
import Crypto

/// The check of a hashed block's transactions: of each one's form, chain and signature, unless this node's mempool has checked
/// it. Cut in pieces, so that several threads share the work and other checks do not wait behind a whole block.
public struct BlockCheck: Sendable {
    /// Transactions of one piece, all of which have passed.
    public struct Piece: Sendable {
        fileprivate let block: Hash
        fileprivate let number: Int
        fileprivate let transactions: [Transaction]
    }

    /// The number of transactions in a piece: about a millisecond of signatures.
    public static let pieceSize = 16

    /// The block.
    public let hashed: HashedBlock
    private let chainID: String
    /// The transactions that the mempool has checked; nil for the others.
    private let known: [Transaction?]
    /// The places of the others in the block.
    private let unknown: [Int]

    /// Prepares the check of a block, which must not contain a transaction twice. Takes about a millisecond for the largest
    /// blocks: call it on a worker.
    /// - Parameters:
    ///   - chainID: the chain that every transaction must name.
    ///   - known: returns a transaction that this node's mempool has already checked, so that its signature is not
    ///     checked twice; called on the caller's thread.
    public init(
        of hashed: HashedBlock, chainID: String, known: (Hash) -> Transaction?
    ) throws(ConsensusError) {
        let ids = hashed.transactionIDs
        guard Set(ids).count == ids.count else {
            throw .invalidBlock(height: hashed.block.height, reason: "it contains a transaction twice")
        }
        self.hashed = hashed
        self.chainID = chainID
        self.known = ids.map(known)
        unknown = self.known.indices.filter { [known = self.known] in known[$0] == nil }
    }

    /// The number of pieces.
    public var pieces: Int { (unknown.count + Self.pieceSize - 1) / Self.pieceSize }

    /// Checks the piece with a number below `pieces`.
    public func check(_ number: Int) throws(ConsensusError) -> Piece {
        let places = unknown.dropFirst(number * Self.pieceSize).prefix(Self.pieceSize)
        var transactions: [Transaction] = []
        transactions.reserveCapacity(places.count)
        for place in places {
            do throws(ChainError) {
                let transaction = try hashed.transaction(at: place)
                guard RawText(transaction.body.chainID) == RawText(chainID) else {
                    throw .wrongChain(transaction.body.chainID)
                }
                try transaction.verify()
                transactions.append(transaction)
            } catch {
                throw .invalidBlock(
                    height: hashed.block.height,
                    reason: "transaction \(hashed.transactionIDs[place]): \(error)")
            }
        }
        return Piece(block: hashed.block.hash, number: number, transactions: transactions)
    }

    /// Returns all transactions of the block, in its order. `pieces` must be all of this check's, in order.
    func join(_ pieces: [Piece]) -> [Transaction] {
        precondition(
            pieces.count == self.pieces
                && pieces.enumerated().allSatisfy { $1.number == $0 && $1.block == hashed.block.hash },
            "a block's pieces must all be checked")
        var checked = pieces.lazy.flatMap(\.transactions).makeIterator()
        return known.compactMap { $0 ?? checked.next() }
    }
}
