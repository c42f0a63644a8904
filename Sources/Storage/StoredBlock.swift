import Bytes
import Chain
import Crypto

/// A committed block as the store keeps it. The bytes lie in the mapped log, checked against their checksums when
/// they were read, and stay valid as long as this value or a slice of them lives, also after the store is closed.
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

    /// The results of the block's transactions, in their order; decoded at each call.
    public func results() throws(StorageError) -> [TransactionResult] {
        guard let list = ResultList(decoding: resultBytes) else {
            throw .corrupted(path: path, offset: offset, "the transaction results make no sense")
        }
        var results: [TransactionResult] = []
        results.reserveCapacity(list.count)
        for index in 0..<list.count {
            guard let result = list.result(at: index) else {
                throw .corrupted(path: path, offset: offset, "the transaction results make no sense")
            }
            results.append(result)
        }
        return results
    }
}

/// A committed transaction.
public struct StoredTransaction: Sendable {
    /// The encoded transaction, in the mapped log; checked against its ID when it was read.
    public let bytes: SharedBytes
    /// The block that holds it.
    public let height: Int64
    /// Its position in the block, from 0.
    public let index: Int
    /// What became of it.
    public let result: TransactionResult
}

/// The last block of a store.
public struct BlockTip: Hashable, Sendable {
    /// The block's height.
    public let height: Int64
    /// The block's hash.
    public let hash: Hash
    /// The application hash after the block.
    public let appHash: Hash

    /// A tip by its parts.
    public init(height: Int64, hash: Hash, appHash: Hash) {
        self.height = height
        self.hash = hash
        self.appHash = appHash
    }
}

/// What opening a store had to mend. All empty after a clean stop.
public struct RecoveryReport: Hashable, Sendable, CustomStringConvertible {
    /// Bytes of a block that was being written when the process ended, cut off the log's end.
    public internal(set) var bytesDropped = 0
    /// The file that they were cut from, and where.
    public internal(set) var droppedFrom: (path: String, offset: Int)? {
        get { dropPath.map { ($0, dropOffset) } }
        set {
            dropPath = newValue?.path
            dropOffset = newValue?.offset ?? 0
        }
    }
    private var dropPath: String?
    private var dropOffset = 0
    /// Why the index was made again from the log, if it was.
    public internal(set) var indexRebuilt: String?
    /// Set if the mark that tells a torn tail from damage could not be used, with the reason.
    public internal(set) var markIgnored: String?
    /// Blocks in the log.
    public internal(set) var blocks: Int64 = 0

    /// Whether nothing had to be mended.
    public var isClean: Bool { bytesDropped == 0 && indexRebuilt == nil && markIgnored == nil }

    /// One line.
    public var description: String {
        var facts = ["\(blocks) blocks"]
        if let droppedFrom {
            facts.append(
                "dropped \(bytesDropped) bytes of an unfinished block at offset \(droppedFrom.offset) of "
                    + droppedFrom.path)
        }
        if let indexRebuilt { facts.append("made the index again: \(indexRebuilt)") }
        if let markIgnored { facts.append("could not use the mark: \(markIgnored)") }
        return facts.joined(separator: "; ")
    }
}
