import Multiformats

/// The numbers that shape a gossipsub mesh; the specification's names stand behind them.
///
/// gossipsub 1.0 and 1.1 specifications, "Parameters" and "Overview of New Parameters", with their default values.
public struct GossipsubConfiguration: Sendable {
    /// Peers wanted in a topic's mesh (D).
    public var degree = 6
    /// Below this the mesh is filled up (D_low).
    public var degreeLow = 5
    /// Above this the mesh is cut down (D_high).
    public var degreeHigh = 12
    /// Peers outside the mesh that are offered messages at each heartbeat, at least (D_lazy).
    public var degreeLazy = 6
    /// Peers with the best scores that stay when a mesh is cut down (D_score).
    public var degreeScore = 4
    /// Peers in a mesh that this host has dialled, at least (D_out): nobody can fill a mesh by dialling.
    public var degreeOut = 2
    /// The part of the peers outside the mesh that is offered messages, if it is more than `degreeLazy`
    /// (GossipFactor).
    public var gossipFactor = 0.25
    /// Time between two heartbeats.
    public var heartbeat = Duration.seconds(1)
    /// How long a pruned peer is not asked into the mesh again.
    public var pruneBackoff = Duration.seconds(60)
    /// The same after this host has left the topic (UnsubscribeBackoff).
    public var unsubscribeBackoff = Duration.seconds(10)
    /// A GRAFT that comes this soon after a PRUNE counts twice (GraftFloodThreshold of other implementations).
    public var graftFloodThreshold = Duration.seconds(10)
    /// How long peers are kept for publishing to a topic that is not subscribed to.
    public var fanoutLifetime = Duration.seconds(60)
    /// Whether own messages go to every subscriber, not to the mesh only (FloodPublish).
    public var floodPublish = true
    /// How long a peer has to send what it offered and was asked for.
    public var promiseLifetime = Duration.seconds(3)
    /// Heartbeats between two looks at whether a mesh could be better.
    public var opportunisticGraftBeats = 60
    /// Peers then asked in.
    public var opportunisticGrafts = 2
    /// Data from which on mesh peers are told at once that they need not send a message (gossipsub 1.2).
    public var unwantedThreshold = 1_024
    /// Whether a pruned peer is told of others, and what peers tell then is believed. Peer IDs only go over the wire:
    /// where they are must be known otherwise.
    public var peerExchange = false
    /// Peers with whom everything is exchanged outside meshes and whatever their score (explicit peering agreements).
    public var directPeers: [PeerID] = []
    /// Heartbeats between two attempts to connect to those that are not connected.
    public var directConnectBeats = 300
    /// The longest data of a message published or taken. An RPC with one such message stays within its limit.
    public var maximumData = GossipRPC.maximumSize - 4_096
    /// What is thought of peers' conduct.
    public var score = PeerScoreParameters()

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
    /// IDONTWANT entries taken from one peer between two heartbeats; as many again are remembered from the one before.
    static let unwantedPerHeartbeat = 1_024
    /// Messages that wait for their signature's check or their validator, over all peers and of one: a burst of a
    /// thousand votes may come by one peer. Beyond, new ones are dropped unseen, so that another peer may bring them.
    static let pendingMessages = 4_096
    static let pendingPerPeer = 1_024
    /// Bytes of these messages: several of the longest from every peer of a full mesh.
    static let pendingBytes = 64 << 20
    static let pendingBytesPerPeer = 8 << 20
    /// Back-offs remembered in a topic; peers that come and go could make them without end.
    static let backoffs = 4_096
    /// The longest back-off taken from a peer.
    static let longestBackoff = Duration.seconds(3_600)
    /// Peers named in one PRUNE, sent or looked at: more than a mesh holds.
    static let exchangedPeers = 16
}
