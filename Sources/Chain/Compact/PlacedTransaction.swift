import Bytes
import Crypto

/// A transaction of a proposed block and its place, as a peer has sent them.
public struct PlacedTransaction: Sendable {
    /// The transaction's place in the block.
    public let place: Int
    /// The transaction.
    public let bytes: SharedBytes
    /// Its ID.
    public let id: Hash

    /// Hashes the transaction: call it on a worker.
    public init(_ bytes: SharedBytes, at place: Int) {
        self.place = place
        self.bytes = bytes
        id = Hash.sha256(of: bytes)
    }
}
