import Crypto
import Log
import Metrics
import Multiformats
import Reactor

/// The configuration of a host.
public struct HostConfiguration: Sendable {
    /// The host's key, which determines its peer ID.
    public var identity: PrivateKey
    /// The IPv4 and IPv6 TCP addresses to listen on; port 0 means any free one. Empty for a host that only dials.
    public var listenAddresses: [Multiaddr]
    /// The addresses to announce instead of the listen addresses, for a host behind a forwarded port; empty for the
    /// listen addresses.
    public var announceAddresses: [Multiaddr] = []
    /// The local address to dial from, with port 0; nil leaves the choice to the kernel.
    public var dialFrom: SocketAddress?
    /// Makes the keys of Noise handshakes. A simulation supplies its own, so that runs are reproducible.
    public var noiseKeys: @Sendable () throws(LibP2PError) -> NoiseKeyPair = NoiseKeyPair.generate
    /// Security protocols in order of preference: `.noise`, `.noiseChainID`, `.plaintext`.
    public var securityProtocols: [ProtocolID] = [.noise]
    /// The chain ID that `.noiseChainID` requires.
    public var chainID = ""
    /// The limits on what to spend on peers.
    public var limits = ResourceLimits()
    /// The program and its version, as sent in identify.
    public var agentVersion = "apus"
    /// The family of protocols, as sent in identify.
    public var protocolVersion = "ipfs/0.1.0"
    /// Admits and ranks peers; if it is nil, all are admitted and none is trusted.
    public var connectionGater: (any ConnectionGater)?
    /// The addresses of known peers, for dialling by peer ID.
    public var peerStore = PeerStore()
    /// The misbehaviour of which an error that ends a dialogue convicts the peer that began it; nil when the network or this
    /// host may be at fault.
    public var misbehaviour: @Sendable (any Error) -> Misbehaviour? = { ($0 as? LibP2PError)?.misbehaviour }
    /// What the host counts.
    public var metrics = HostMetrics(MetricsRegistry())
    /// The host's log.
    public var log = Log.silent

    /// Creates a configuration with the default limits.
    public init(identity: PrivateKey, listenAddresses: [Multiaddr] = []) {
        self.identity = identity
        self.listenAddresses = listenAddresses
    }
}

/// The side that dialled a connection.
public enum Direction: String, Sendable, CaseIterable {
    /// The peer dialled.
    case inbound
    /// This host dialled.
    case outbound
}

/// The events of a host's connections, for its observers.
public enum HostEvent: Sendable {
    /// The first connection with the peer is established.
    case connected(PeerID, Direction)
    /// The peer has identified itself, or sent new information.
    case identified(PeerID, IdentifyInfo)
    /// The last connection with the peer has ended, for the given reason.
    case disconnected(PeerID, LibP2PError)
    /// The peer broke a rule, on a connection that may have ended by now.
    case misbehaved(PeerID, Misbehaviour)
}
