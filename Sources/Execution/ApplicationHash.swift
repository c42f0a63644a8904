import Bytes
import Chain
import Crypto

/// The app hash in block headers: a hash chain over the effects of all blocks (docs/execution.md, "App hash").
enum ApplicationHash {
    /// Returns the SHA-256 of the previous hash, the hash of the block's changes and the hash of its results.
    static func next(after previous: Hash, changes: Hash, results: [TransactionResult]) -> Hash {
        var hasher = SHA256()
        for result in results { hasher.update(result.bytes) }
        let results = hasher.finalize()
        return Hash.sha256(of: previous.array + changes.array + results.array)
    }
}
