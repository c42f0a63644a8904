import Chain
import Consensus
import Execution
import Reactor

/// Called when a node does what cannot be taken back, for whoever checks a network from outside. All on the reactor;
/// by default nobody listens.
public struct NodeObserver: Sendable {
    /// The node proposes a block that it has signed, or proposes one again, under this stamp (ms).
    public var proposed: @ReactorActor @Sendable (Block, _ stamp: Int64) -> Void = { _, _ in }
    /// The node signed an answer to a proposal of this stamp (ms); its vote log holds it already.
    public var voted: @ReactorActor @Sendable (AckRes, _ stamp: Int64) -> Void = { _, _ in }
    /// The node has fetched a proposed block whole.
    public var downloaded: @ReactorActor @Sendable (Block) -> Void = { _ in }
    /// A block is in the node's log and in its application.
    public var committed: @ReactorActor @Sendable (VerifiedCommit, CheckedBlock, ExecutionResult) -> Void = {
        _, _, _ in
    }
    /// The node cannot go on.
    public var halted: @ReactorActor @Sendable (ConsensusError) -> Void = { _ in }
    /// A machine of the node contradicts itself. Unless this is nil, every machine is checked after every event.
    public var brokenInvariant: (@ReactorActor @Sendable (BrokenInvariant) -> Void)?

    /// Nobody listens.
    public init() {}
}
