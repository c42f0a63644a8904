import Chain
import Multiformats

/// A block and what is to prove its commit, as a peer sent them: nothing is checked yet.
public struct SyncCandidate: Sendable {
    /// The peer.
    public let from: PeerID
    /// Decodes both. Call it on a worker.
    public let decoded: @Sendable () throws -> (Block, CommitInfo)

    /// Creates a candidate that is decoded later.
    public init(from peer: PeerID, decoded: @escaping @Sendable () throws -> (Block, CommitInfo)) {
        (from, self.decoded) = (peer, decoded)
    }
}
