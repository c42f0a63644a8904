import Crypto
import Multiformats

/// Turns a raw connection into a secured one with a multiplexer chosen: multistream-select, the security handshake,
/// then multistream-select for the multiplexer inside it unless the handshake has settled that.
///
/// docs/wire.md, section 6; libp2p connections specification, "Upgrading Connections". A machine: feed it what the
/// connection receives, send what it returns. One object serves one connection.
///
/// A dialer with one security protocol sends the handshake's first message right behind its offer, which saves a
/// round trip.
public final class SecurityUpgrade {
    /// What a host brings to every connection.
    public struct Configuration: Sendable {
        /// The host's identity.
        public var identity: PrivateKey
        /// The host's key for Noise handshakes, signed by `identity`.
        public var noise: NoiseIdentity
        /// Security protocols in order of preference; of `.noise`, `.noiseChainID` and `.plaintext`.
        public var protocols: [ProtocolID]
        /// Multiplexers in order of preference.
        public var muxers: [ProtocolID]
        /// The chain that `.noiseChainID` asks for.
        public var chainID: String

        /// A configuration with these parts. `staticKey` is the key pair that Noise handshakes of this host use.
        public init(
            identity: PrivateKey, staticKey: NoiseKeyPair, protocols: [ProtocolID] = [.noise],
            muxers: [ProtocolID] = [.yamux], chainID: String = ""
        ) {
            self.identity = identity
            self.noise = NoiseIdentity(identity, staticKey: staticKey, muxers: muxers)
            self.protocols = protocols
            self.muxers = muxers
            self.chainID = chainID
        }
    }

    /// How bytes travel once the connection is upgraded.
    public enum Transport {
        /// Framed and encrypted.
        case noise(NoiseTransport)
        /// As they are.
        case plaintext
    }

    /// What an upgrade has established.
    public struct Outcome {
        /// The other side's identity; with `.plaintext` it is a claim only.
        public let remoteKey: PublicKey
        /// The other side's peer ID, which is `remoteKey`'s.
        public let remotePeer: PeerID
        /// The security protocol that was agreed on.
        public let security: ProtocolID
        /// The multiplexer that was agreed on.
        public let muxer: ProtocolID
        /// Cipher and framing for all further bytes.
        public let transport: Transport
        /// Plaintext that came behind the handshake and belongs to the multiplexer. Feed it before anything else.
        public let leftover: [UInt8]
    }

    /// What a step asks for and how far the upgrade has come.
    public struct Step {
        /// Bytes for the peer, ready for the socket.
        public var output: [UInt8] = []
        /// Set when the connection is ready, once `output` has been sent. The upgrade takes no more bytes then.
        public var outcome: Outcome?
    }

    private enum Phase {
        case dialingSecurity(MultistreamDialer)
        case listeningSecurity(MultistreamListener)
        case noise(NoiseHandshake)
        case chainID(ChainIDExchange, NoiseHandshake.Outcome)
        case plaintext(PlaintextExchange)
        case dialingMuxer(MultistreamDialer)
        case listeningMuxer(MultistreamListener)
        case done
        /// The outcome has been handed out, or an error thrown.
        case closed
    }

    private let configuration: Configuration
    private let dialing: Bool
    private let expectedPeer: PeerID?
    private let ephemeral: NoiseKeyPair
    private let pool: FrameBufferPool
    private var phase: Phase
    /// The handshake that was started before the listener had confirmed the protocol.
    private var early: Phase?
    private var step = Step()
    private var security: ProtocolID = .noise
    private var remoteKey: PublicKey?
    private var transport = Transport.plaintext
    private var muxer: ProtocolID?
    /// Plaintext behind the last token of the multiplexer's negotiation.
    private var leftover: [UInt8] = []

    /// An upgrade in which nothing has been sent.
    ///
    /// `ephemeral` is this connection's Noise ephemeral key pair; it must be fresh and random. A dialer that knows
    /// whom it dials gives `expectedPeer`.
    public init(
        _ configuration: Configuration, dialing: Bool, expectedPeer: PeerID?, ephemeral: NoiseKeyPair,
        pool: FrameBufferPool
    ) {
        self.configuration = configuration
        self.dialing = dialing
        self.expectedPeer = expectedPeer
        self.ephemeral = ephemeral
        self.pool = pool
        phase =
            dialing
            ? .dialingSecurity(MultistreamDialer(configuration.protocols))
            : .listeningSecurity(MultistreamListener())
    }

    /// The bytes that open the connection; empty for a listener.
    public func start() throws(LibP2PError) -> [UInt8] {
        guard case .dialingSecurity(let dialer) = phase else { return [] }
        var output = dialer.start()
        if dialer.mayWriteEarly, let only = configuration.protocols.first {
            let (phase, first) = try handshake(only)
            early = phase
            output += first
        }
        return output
    }

    /// Takes bytes from the peer. They are overwritten.
    ///
    /// Throws what the protocols throw, `dialedSelf` when the peer is this host, and `malformed` when called after the
    /// end. Nothing is to be sent after an error: the connection is only good for closing.
    public func receive(_ bytes: UnsafeMutableRawBufferPointer) throws(LibP2PError) -> Step {
        step = Step()
        do {
            try advance(bytes)
        } catch {
            phase = .closed
            throw error
        }
        defer { step = Step() }
        return step
    }

    private func advance(_ bytes: UnsafeMutableRawBufferPointer) throws(LibP2PError) {
        var offset = 0
        while offset < bytes.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
            let view = UnsafeRawBufferPointer(rest)
            switch phase {
            case .dialingSecurity(var dialer):
                let result = try dialer.receive(view)
                phase = .dialingSecurity(dialer)
                offset &+= result.consumed
                step.output += result.output
                if let selected = result.selected { try begin(selected) }
            case .listeningSecurity(var listener):
                let result = try listener.receive(view, protocols: configuration.protocols)
                phase = .listeningSecurity(listener)
                offset &+= result.consumed
                step.output += result.output
                if let selected = result.selected { try begin(selected) }
            case .noise(var handshake):
                let result = try handshake.receive(view)
                phase = .noise(handshake)
                offset &+= result.consumed
                step.output += result.output
                if let outcome = result.outcome { try finish(outcome) }
            case .chainID(var exchange, let outcome):
                let result = try exchange.receive(view)
                phase = .chainID(exchange, outcome)
                offset &+= result.consumed
                step.output += result.output
                if result.isDone { try secured(outcome.remoteKey, .noise(outcome.transport), outcome.muxer) }
            case .plaintext(var exchange):
                let result = try exchange.receive(view)
                phase = .plaintext(exchange)
                offset &+= result.consumed
                if let key = result.key { try secured(key, .plaintext, nil) }
            case .dialingMuxer, .listeningMuxer, .done:
                try receiveSecured(rest)
                offset = bytes.count
            case .closed:
                throw .malformed("connection: the upgrade is given bytes after its end")
            }
        }
        if case .done = phase, let muxer, let remoteKey {
            step.outcome = Outcome(
                remoteKey: remoteKey, remotePeer: remoteKey.peerID, security: security, muxer: muxer,
                transport: transport, leftover: leftover)
            leftover = []
            phase = .closed
        }
    }

    /// The handshake of a security protocol and this side's first bytes in it.
    private func handshake(_ id: ProtocolID) throws(LibP2PError) -> (Phase, [UInt8]) {
        if id == .plaintext {
            let exchange = PlaintextExchange(
                ownKey: configuration.identity.publicKey, expectedPeer: expectedPeer)
            return (.plaintext(exchange), exchange.start())
        }
        var handshake = try NoiseHandshake(
            dialing: dialing, identity: configuration.noise, ephemeral: ephemeral, expectedPeer: expectedPeer,
            pool: pool)
        let first = try handshake.start()
        return (.noise(handshake), first)
    }

    private func begin(_ selected: ProtocolID) throws(LibP2PError) {
        security = selected
        if let early {
            phase = early
            self.early = nil
            return
        }
        let (next, first) = try handshake(selected)
        phase = next
        step.output += first
    }

    private func finish(_ outcome: NoiseHandshake.Outcome) throws(LibP2PError) {
        guard security == .noiseChainID else {
            return try secured(outcome.remoteKey, .noise(outcome.transport), outcome.muxer)
        }
        let exchange = try ChainIDExchange(chainID: configuration.chainID, dialing: dialing)
        step.output += exchange.start()
        phase = .chainID(exchange, outcome)
    }

    /// The peer is known and bytes travel through `transport` from here on.
    private func secured(
        _ key: PublicKey, _ transport: Transport, _ muxer: ProtocolID?
    ) throws(LibP2PError) {
        guard key != configuration.identity.publicKey else { throw .dialedSelf }
        remoteKey = key
        self.transport = transport
        self.muxer = muxer
        if muxer != nil {
            phase = .done
        } else if dialing {
            let dialer = MultistreamDialer(configuration.muxers)
            phase = .dialingMuxer(dialer)
            try send(dialer.start())
        } else {
            phase = .listeningMuxer(MultistreamListener())
        }
    }

    private func receiveSecured(_ bytes: UnsafeMutableRawBufferPointer) throws(LibP2PError) {
        switch transport {
        case .plaintext:
            try receivePlaintext(UnsafeRawBufferPointer(bytes))
        case .noise(let noise):
            try noise.receive(bytes) { (plaintext) throws(LibP2PError) in
                try receivePlaintext(UnsafeRawBufferPointer(plaintext))
            }
        }
    }

    private func receivePlaintext(_ bytes: UnsafeRawBufferPointer) throws(LibP2PError) {
        let result: MultistreamStep
        switch phase {
        case .dialingMuxer(var dialer):
            result = try dialer.receive(bytes)
            phase = .dialingMuxer(dialer)
        case .listeningMuxer(var listener):
            result = try listener.receive(bytes, protocols: configuration.muxers)
            phase = .listeningMuxer(listener)
        default:
            leftover.append(contentsOf: bytes)
            return
        }
        if !result.output.isEmpty { try send(result.output) }
        guard let selected = result.selected else { return }
        muxer = selected
        phase = .done
        leftover.append(contentsOf: bytes[result.consumed...])
    }

    /// Appends plaintext to the output, through the transport.
    private func send(_ plaintext: [UInt8]) throws(LibP2PError) {
        guard case .noise(let noise) = transport else {
            step.output += plaintext
            return
        }
        step.output += try noise.sealed(plaintext)
    }
}
