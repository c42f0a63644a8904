/// The intervals and timeouts of consensus, by the reactor's clock.
public struct ConsensusSettings: Sendable {
    /// The minimum time between two proposals of the leader.
    public var minimumBlockInterval: Duration = .milliseconds(100)
    /// The time without transactions after which the leader makes an empty block; zero for no empty blocks.
    public var emptyBlockInterval: Duration = .seconds(60)
    /// The delay of a starting leader, in which peers can report the chain's height.
    public var startDelay: Duration = .seconds(1)
    /// The wait before an unanswered proposal is announced again and an acknowledgement sent again; doubles each
    /// time.
    public var resendInterval: Duration = .seconds(2)
    /// The maximum of these waits.
    public var maximumResendInterval: Duration = .seconds(30)
    /// The wait before a committed block is announced again to validators that have not confirmed it; doubles each
    /// time.
    public var announceInterval: Duration = .seconds(3)
    /// The time for which a restarted leader looks for the block that it proposed before it makes another.
    public var recoveryPatience: Duration = .seconds(5)
    /// The timeout of a proposal without enough votes; doubles with each withdrawal at a height.
    public var proposalTimeout: Duration = .seconds(60)
    /// The wait for the first and each further part of a proposal's block before peers other than its announcer are
    /// asked, too.
    public var secondSourceWait: Duration = .seconds(2)
    /// The maximum wait before another announcer is asked for a block that one peer is sending.
    public var fetchPatience: Duration = .seconds(10)

    /// The leader that this node's operator promotes; nil for none.
    public var promotion: Promotion?

    /// Creates the default settings.
    public init() {}
}
