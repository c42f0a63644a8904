import Chain
import Consensus
import Execution
import Reactor

/// Closures called when a node does something irreversible, for programs that check a network from outside. Called on
/// the reactor; by default they do nothing.
public struct NodeObserver: Sendable {
    /// The node proposes a block that it has signed, possibly again, under this stamp (ms).
    public var proposed: @ReactorActor @Sendable (Block, _ stamp: Int64) -> Void = { _, _ in }
    /// The node signed an answer to a proposal with this stamp (ms). Its vote log already holds it.
    public var voted: @ReactorActor @Sendable (AckRes, _ stamp: Int64) -> Void = { _, _ in }
    /// The node has fetched a whole proposed block.
    public var downloaded: @ReactorActor @Sendable (Block) -> Void = { _ in }
    /// A block is in the node's log and application.
    public var committed: @ReactorActor @Sendable (VerifiedCommit, CheckedBlock, ExecutionResult) -> Void = {
        _, _, _ in
    }
    /// The node cannot continue.
    public var halted: @ReactorActor @Sendable (ConsensusError) -> Void = { _ in }
    /// An invariant of a machine is broken. Unless this is nil, every machine is checked after every event.
    public var brokenInvariant: (@ReactorActor @Sendable (BrokenInvariant) -> Void)?

    /// Creates an observer that does nothing.
    public init() {}
}
