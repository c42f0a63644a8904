import Crypto
import Log
import Multiformats
import Reactor

/// Which side dialled a connection.
public enum Direction: Sendable, Equatable {
    /// The peer did.
    case inbound
    /// This host did.
    case outbound
}

/// A connection about to be made, for a host's gater to judge.
public struct ConnectionCandidate: Sendable {
    /// Who dials.
    public let direction: Direction
    /// The remote end, without a peer ID.
    public let address: Multiaddr?
    /// The peer; nil for an inbound connection before its handshake.
    public let peer: PeerID?
    /// Whether the handshake is done: the peer is who it says it is, and the connection comes to be unless refused.
    public let isProven: Bool
}

/// What happens to a host's connections, as its observers are told.
public enum HostEvent: Sendable {
    /// The first connection with the peer stands.
    case connected(PeerID, Direction)
    /// The peer has told about itself, for the first time on this connection or anew.
    case identified(PeerID, IdentifyInfo)
    /// The last connection with the peer has ended, and why.
    case disconnected(PeerID, LibP2PError)
    /// The peer broke a rule, on a connection that may have ended since.
    case misbehaved(PeerID, Misbehaviour)
}

/// Everything that makes one host different from another.
public struct HostConfiguration: Sendable {
    /// The host's key; its peer ID follows from it.
    public var identity: PrivateKey
    /// Where to listen: IPv4 and IPv6 TCP addresses; port 0 takes any free one. Empty: dial only.
    public var listenAddresses: [Multiaddr]
    /// What to tell peers instead of the listen addresses, for a host behind a forwarded port; empty: the listen
    /// addresses.
    public var announceAddresses: [Multiaddr] = []
    /// Address of this machine's to dial from, port 0; nil leaves the choice to the kernel.
    public var dialFrom: SocketAddress?
    /// Makes the keys of Noise handshakes. A simulation gives its own, so that runs repeat.
    public var noiseKeys: @Sendable () throws(LibP2PError) -> NoiseKeyPair = NoiseKeyPair.generate
    /// Security protocols in order of preference: `.noise`, `.noiseChainID`, `.plaintext`.
    public var securityProtocols: [ProtocolID] = [.noise]
    /// The chain that `.noiseChainID` asks for.
    public var chainID = ""
    /// What to spend on peers.
    public var limits = ResourceLimits()
    /// Program and version, as identify tells them.
    public var agentVersion = "apus"
    /// Family of protocols, as identify tells it.
    public var protocolVersion = "ipfs/0.1.0"
    /// Asked before a connection is set up, and again when the handshake is done; false refuses it. The host's can be
    /// changed later.
    public var connectionGater: (@ReactorActor @Sendable (ConnectionCandidate) -> Bool)?
    /// Addresses of known peers, for dialling by peer ID.
    public var peerStore = PeerStore()
    /// The misbehaviour of which an error that ends a dialogue convicts the peer that began it; nil when the network or this
    /// host may be at fault.
    public var misbehaviour: @Sendable (any Error) -> Misbehaviour? = { ($0 as? LibP2PError)?.misbehaviour }
    /// Where the host logs.
    public var log = Log.silent

    /// A configuration with the usual limits that listens on these addresses.
    public init(identity: PrivateKey, listenAddresses: [Multiaddr] = []) {
        self.identity = identity
        self.listenAddresses = listenAddresses
    }
}
