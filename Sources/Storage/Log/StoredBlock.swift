import Bytes
import Chain
import Crypto

/// A committed block. Its bytes are those that were appended, or slices of the mapped log, already verified against their
/// checksums; they stay valid as long as this value or a slice exists, even after the store closes.
public struct StoredBlock: Sendable {
    /// The block's height.
    public let height: Int64
    /// The block's hash.
    public let hash: Hash
    /// The encoded `Block`.
    public let block: SharedBytes
    /// The encoded `CommitInfo`.
    public let commitInfo: SharedBytes
    let resultBytes: SharedBytes
    /// The segment and offset of the record, for errors.
    let path: String
    let offset: Int

    /// Decodes the results of the block's transactions, in block order.
    public func results() throws(StorageError) -> [TransactionResult] {
        let error = StorageError.corrupted(
            path: path, offset: offset, "the results of block \(height) cannot be decoded")
        guard let list = ResultList(decoding: resultBytes) else { throw error }
        var results: [TransactionResult] = []
        results.reserveCapacity(list.count)
        for index in 0..<list.count {
            guard let result = list.result(at: index) else { throw error }
            results.append(result)
        }
        return results
    }
}

/// A committed transaction.
public struct StoredTransaction: Sendable {
    /// The encoded transaction, a slice of the mapped log, already verified against its ID.
    public let bytes: SharedBytes
    /// The height of its block.
    public let height: Int64
    /// Its position in the block, from 0.
    public let index: Int
    /// The result of executing it.
    public let result: TransactionResult
}

/// The last block of a store.
public struct BlockTip: Hashable, Sendable {
    /// The block's height.
    public let height: Int64
    /// The block's hash.
    public let hash: Hash
    /// The app hash after the block.
    public let appHash: Hash
}
