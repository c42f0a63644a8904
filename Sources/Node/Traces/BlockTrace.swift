import Chain
import Crypto
import Multiformats

/// The path of one block through one node.
public struct BlockTrace: Sendable {
    /// How the block ended on this node.
    public enum Outcome: String, CaseIterable, Sendable {
        /// It is on its way.
        case pending
        /// It is committed.
        case committed
        /// This node voted against it, or it broke a rule.
        case refused
        /// Another block was committed in its place.
        case abandoned
    }

    /// Its height.
    public var height: Int64
    /// Its hash.
    public var hash: Hash
    /// This node's role when the block appeared.
    public var role: RoleName
    /// How it ended.
    public var outcome = Outcome.pending
    /// Its size, in bytes; 0 before its body is here.
    public var size = 0
    /// The number of its transactions.
    public var transactions = 0
    /// The peer that sent its body; nil for an own block.
    public var source: PeerID?
    /// The stages that it has passed, in order of time.
    public var stages: [StageTime<BlockStage>] = []

    /// A block that has passed no stage.
    public init(height: Int64, hash: Hash, role: RoleName) {
        self.height = height
        self.hash = hash
        self.role = role
    }

    /// The time from the first stage to the commit; nil before the commit.
    public var whole: Duration? {
        guard let first = stages.first, let end = stages.first(where: { $0.stage == .committed })
        else { return nil }
        return end.time - first.time
    }
}
