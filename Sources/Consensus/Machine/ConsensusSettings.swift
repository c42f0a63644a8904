/// The waits of consensus. All are relative to the reactor's clock.
public struct ConsensusSettings: Sendable {
    /// Shortest time between two proposals of the leader.
    public var minimumBlockInterval: Duration = .milliseconds(100)
    /// Longest time without a block when there is no transaction; zero for never an empty block.
    public var emptyBlockInterval: Duration = .seconds(60)
    /// Wait of a starting leader, for peers to tell how high the chain is.
    public var startDelay: Duration = .seconds(1)
    /// Wait before an unanswered proposal is offered again, and an acknowledgement sent again; doubles each time.
    public var resendInterval: Duration = .seconds(2)
    /// Longest of these waits.
    public var maximumResendInterval: Duration = .seconds(30)
    /// Wait before a committed block is announced again to those who did not confirm it; doubles each time.
    public var announceInterval: Duration = .seconds(3)
    /// How long a restarted leader looks for the block that it had proposed before it makes another.
    public var recoveryPatience: Duration = .seconds(5)
    /// Wait for enough votes before the leader withdraws its proposal; doubles with each withdrawal at a height.
    public var proposalTimeout: Duration = .seconds(60)
    /// Wait for the first and each further part of a proposal's block before others than its announcer are asked, too.
    public var secondSourceWait: Duration = .seconds(2)
    /// Longest wait before another announcer is asked for a block that one peer is sending.
    public var fetchPatience: Duration = .seconds(10)

    /// A leader that this node's operator promotes.
    public var promotion: Promotion?

    /// The defaults.
    public init() {}
}
