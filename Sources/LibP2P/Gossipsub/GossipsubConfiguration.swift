import Multiformats

/// The parameters of a gossipsub mesh, with the specification's names in parentheses.
///
/// gossipsub 1.0 and 1.1 specifications, "Parameters" and "Overview of New Parameters", with their default values.
public struct GossipsubConfiguration: Sendable {
    /// The number of peers wanted in a topic's mesh (D).
    public var degree = 6
    /// Below this the mesh is filled up (D_low).
    public var degreeLow = 5
    /// Above this the mesh is cut down (D_high).
    public var degreeHigh = 12
    /// The minimum number of peers outside the mesh that are offered messages at each heartbeat (D_lazy).
    public var degreeLazy = 6
    /// The number of peers with the best scores that stay when a mesh is cut down (D_score).
    public var degreeScore = 4
    /// The minimum number of peers in a mesh that this host has dialled (D_out), so that no attacker can fill it by
    /// dialling.
    public var degreeOut = 2
    /// The fraction of the peers outside the mesh that are offered messages, if more than `degreeLazy` (GossipFactor).
    public var gossipFactor = 0.25
    /// The time between two heartbeats.
    public var heartbeat = Duration.seconds(1)
    /// How long a pruned peer is not grafted again.
    public var pruneBackoff = Duration.seconds(60)
    /// The same after this host has left the topic (UnsubscribeBackoff).
    public var unsubscribeBackoff = Duration.seconds(10)
    /// A GRAFT that comes this soon after a PRUNE counts twice (GraftFloodThreshold of other implementations).
    public var graftFloodThreshold = Duration.seconds(10)
    /// How long the peers of a topic that is only published to are kept after the last message.
    public var fanoutLifetime = Duration.seconds(60)
    /// Whether this host's messages go to every subscriber, not only to the mesh (FloodPublish).
    public var floodPublish = true
    /// How long a peer has to send a message that it offered and that was requested.
    public var promiseLifetime = Duration.seconds(3)
    /// The number of heartbeats between two attempts to improve a mesh.
    public var opportunisticGraftBeats = 60
    /// The number of peers then grafted.
    public var opportunisticGrafts = 2
    /// The size of data, in bytes, from which mesh peers are told at once not to send the message (gossipsub 1.2).
    public var unwantedThreshold = 1_024
    /// Whether a PRUNE names other peers, and peers named in one are used. Only peer IDs are exchanged: their addresses
    /// must be known otherwise.
    public var peerExchange = false
    /// Peers with which all messages are exchanged, outside meshes and regardless of score (explicit peering
    /// agreements).
    public var directPeers: [PeerID] = []
    /// The number of heartbeats between two attempts to connect to missing direct peers.
    public var directConnectBeats = 300
    /// The longest data of a message published or accepted, in bytes. An RPC with one such message stays within its
    /// limit.
    public var maximumData = GossipRPC.maximumSize - 4_096
    /// The parameters of peer scoring.
    public var score = PeerScoreParameters()

    /// The specification's defaults.
    public init() {}
}

/// Limits on what a router accepts from a peer.
enum GossipsubLimits {
    /// The most topics of one peer.
    static let topicsPerPeer = 128
    /// The most IHAVE entries handled from one peer between two heartbeats.
    static let offersPerHeartbeat = 10
    /// The most messages requested from one peer between two heartbeats, and offered to one at a heartbeat.
    static let idsPerHeartbeat = 5_000
    /// The most IDONTWANT entries accepted from one peer between two heartbeats. Those of the previous interval are
    /// remembered, too.
    static let unwantedPerHeartbeat = 1_024
    /// The most messages that wait for the check of their signature or their validator, from all peers and from one:
    /// one peer may send a burst of a thousand votes. Beyond that, new ones are dropped without being marked as seen,
    /// so that another peer may send them.
    static let pendingMessages = 4_096
    static let pendingPerPeer = 1_024
    /// The most bytes of these messages: several of the longest from every peer of a full mesh.
    static let pendingBytes = 64 << 20
    static let pendingBytesPerPeer = 8 << 20
    /// The most backoffs remembered for a topic: peers that come and go could create them without end.
    static let backoffs = 4_096
    /// The longest backoff accepted from a peer.
    static let longestBackoff = Duration.seconds(3_600)
    /// The most peers named in a PRUNE sent, and used from one received: more than a mesh holds.
    static let exchangedPeers = 16
}
