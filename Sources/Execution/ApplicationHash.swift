import Bytes
import Chain
import Crypto

/// The hash that a block's header names as the application's: a chain over what each block did
/// (docs/execution.md, "Application hash").
enum ApplicationHash {
    /// SHA-256 of the previous hash, the hash of the block's changes and the hash of its results.
    static func next(after previous: Hash, changes: Hash, results: [TransactionResult]) -> Hash {
        var hasher = SHA256()
        for result in results { hasher.update(result.bytes) }
        let results = hasher.finalize()
        return Hash.sha256(of: previous.array + changes.array + results.array)
    }
}
