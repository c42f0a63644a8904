/// The numbers that shape a gossipsub mesh; the specification's names stand behind them.
///
/// gossipsub 1.0 and 1.1 specifications, "Parameters", with their default values.
public struct GossipsubConfiguration: Sendable {
    /// Peers wanted in a topic's mesh (D).
    public var degree = 6
    /// Below this the mesh is filled up (D_low).
    public var degreeLow = 5
    /// Above this the mesh is cut down (D_high).
    public var degreeHigh = 12
    /// Peers outside the mesh that are offered messages at each heartbeat, at least (D_lazy).
    public var degreeLazy = 6
    /// Time between two heartbeats.
    public var heartbeat = Duration.seconds(1)
    /// How long a pruned peer is not asked into the mesh again.
    public var pruneBackoff = Duration.seconds(60)
    /// How long peers are kept for publishing to a topic that is not subscribed to.
    public var fanoutLifetime = Duration.seconds(60)
    /// The longest data of a message published or taken. An RPC with one such message stays within its limit.
    public var maximumData = GossipRPC.maximumSize - 4_096

    /// The specification's defaults.
    public init() {}
}

/// What a router does not let a peer exceed.
enum GossipsubLimits {
    /// Topics that one peer may subscribe to.
    static let topicsPerPeer = 128
    /// IHAVE entries looked at from one peer between two heartbeats.
    static let offersPerHeartbeat = 10
    /// Messages asked of one peer between two heartbeats, and offered to one at a heartbeat.
    static let idsPerHeartbeat = 5_000
    /// Unwanted messages remembered for a peer until the next heartbeat but two.
    static let unwantedPerPeer = 1_024
    /// Messages that wait for their signature's check or their validator, over all peers. Beyond, new ones are dropped unseen, so that another
    /// peer may bring them again.
    static let pendingValidations = 1_024
    /// The longest back-off taken from a peer.
    static let longestBackoff = Duration.seconds(3_600)
}
