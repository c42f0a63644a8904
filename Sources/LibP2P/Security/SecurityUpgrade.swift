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

    /// A security protocol's exchange.
    private enum Handshake {
        case noise(NoiseHandshake)
        case plaintext(PlaintextExchange)
    }

    /// What a finished handshake has established.
    private struct Secured {
        let security: ProtocolID
        let remoteKey: PublicKey
        let transport: Transport
    }

    private enum Phase {
        /// `early`: the handshake that was started before the listener has confirmed the protocol.
        case dialingSecurity(MultistreamDialer, early: Handshake?)
        case listeningSecurity(MultistreamListener)
        case handshake(Handshake, ProtocolID)
        case chainID(ChainIDExchange, NoiseHandshake.Outcome)
        case dialingMuxer(MultistreamDialer, Secured)
        case listeningMuxer(MultistreamListener, Secured)
        /// Plaintext that comes now belongs to the multiplexer.
        case done(Secured, muxer: ProtocolID)
        /// The outcome has been handed out, or an error thrown.
        case closed
    }

    private let configuration: Configuration
    private let dialing: Bool
    private let expectedPeer: PeerID?
    private let ephemeral: NoiseKeyPair
    private let pool: FrameBufferPool
    private var phase: Phase
    private var step = Step()
    /// Plaintext that has come behind the choice of the multiplexer.
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
            ? .dialingSecurity(MultistreamDialer(configuration.protocols), early: nil)
            : .listeningSecurity(MultistreamListener())
    }

    /// The bytes that open the connection; empty for a listener.
    public func start() throws(LibP2PError) -> [UInt8] {
        guard case .dialingSecurity(let dialer, _) = phase else { return [] }
        var output = dialer.start()
        if dialer.mayWriteEarly, let only = configuration.protocols.first {
            let (early, first) = try handshake(only)
            phase = .dialingSecurity(dialer, early: early)
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
            case .dialingSecurity(var dialer, let early):
                let result = try dialer.receive(view)
                phase = .dialingSecurity(dialer, early: early)
                offset &+= result.consumed
                step.output += result.output
                if let selected = result.selected { try begin(selected, early) }
            case .listeningSecurity(var listener):
                let result = try listener.receive(view, protocols: configuration.protocols)
                phase = .listeningSecurity(listener)
                offset &+= result.consumed
                step.output += result.output
                if let selected = result.selected { try begin(selected, nil) }
            case .handshake(.noise(var handshake), let security):
                let result = try handshake.receive(view)
                phase = .handshake(.noise(handshake), security)
                offset &+= result.consumed
                step.output += result.output
                if let outcome = result.outcome { try finish(outcome, security) }
            case .handshake(.plaintext(var exchange), let security):
                let result = try exchange.receive(view)
                phase = .handshake(.plaintext(exchange), security)
                offset &+= result.consumed
                if let key = result.key {
                    try secured(Secured(security: security, remoteKey: key, transport: .plaintext), nil)
                }
            case .chainID(var exchange, let outcome):
                let result = try exchange.receive(view)
                phase = .chainID(exchange, outcome)
                offset &+= result.consumed
                step.output += result.output
                if result.isDone { try secured(outcome, .noiseChainID) }
            case .dialingMuxer(_, let secured), .listeningMuxer(_, let secured), .done(let secured, _):
                try receive(rest, through: secured.transport)
                offset = bytes.count
            case .closed:
                throw .malformed("connection: the upgrade is given bytes after its end")
            }
        }
        if case .done(let secured, let muxer) = phase {
            step.outcome = Outcome(
                remoteKey: secured.remoteKey, remotePeer: secured.remoteKey.peerID,
                security: secured.security, muxer: muxer, transport: secured.transport, leftover: leftover)
            leftover = []
            phase = .closed
        }
    }

    /// The handshake of a security protocol and this side's first bytes in it.
    private func handshake(_ id: ProtocolID) throws(LibP2PError) -> (Handshake, [UInt8]) {
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

    private func begin(_ selected: ProtocolID, _ early: Handshake?) throws(LibP2PError) {
        if let early {
            phase = .handshake(early, selected)
            return
        }
        let (next, first) = try handshake(selected)
        phase = .handshake(next, selected)
        step.output += first
    }

    private func finish(_ outcome: NoiseHandshake.Outcome, _ security: ProtocolID) throws(LibP2PError) {
        guard security == .noiseChainID else { return try secured(outcome, security) }
        let exchange = try ChainIDExchange(chainID: configuration.chainID, dialing: dialing)
        step.output += exchange.start()
        phase = .chainID(exchange, outcome)
    }

    private func secured(_ outcome: NoiseHandshake.Outcome, _ security: ProtocolID) throws(LibP2PError) {
        let transport = Transport.noise(outcome.transport)
        try secured(
            Secured(security: security, remoteKey: outcome.remoteKey, transport: transport), outcome.muxer)
    }

    /// The peer is known and its bytes travel through a transport from here on. `muxer`: what the handshake has settled.
    private func secured(_ secured: Secured, _ muxer: ProtocolID?) throws(LibP2PError) {
        guard secured.remoteKey != configuration.identity.publicKey else { throw .dialedSelf }
        if let muxer {
            phase = .done(secured, muxer: muxer)
        } else if dialing {
            let dialer = MultistreamDialer(configuration.muxers)
            phase = .dialingMuxer(dialer, secured)
            try send(dialer.start(), through: secured.transport)
        } else {
            phase = .listeningMuxer(MultistreamListener(), secured)
        }
    }

    private func receive(
        _ bytes: UnsafeMutableRawBufferPointer, through transport: Transport
    ) throws(LibP2PError) {
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
        switch phase {
        case .dialingMuxer(var dialer, let secured):
            let result = try dialer.receive(bytes)
            phase = .dialingMuxer(dialer, secured)
            try take(result, of: bytes, secured)
        case .listeningMuxer(var listener, let secured):
            let result = try listener.receive(bytes, protocols: configuration.muxers)
            phase = .listeningMuxer(listener, secured)
            try take(result, of: bytes, secured)
        case .done: leftover.append(contentsOf: bytes)
        case .dialingSecurity, .listeningSecurity, .handshake, .chainID, .closed: break
        }
    }

    /// Takes a step of the multiplexer's negotiation.
    private func take(
        _ result: MultistreamStep, of bytes: UnsafeRawBufferPointer, _ secured: Secured
    ) throws(LibP2PError) {
        if !result.output.isEmpty { try send(result.output, through: secured.transport) }
        guard let selected = result.selected else { return }
        phase = .done(secured, muxer: selected)
        leftover.append(contentsOf: bytes[result.consumed...])
    }

    /// Appends plaintext to the output, through the transport.
    private func send(_ plaintext: [UInt8], through transport: Transport) throws(LibP2PError) {
        switch transport {
        case .plaintext: step.output += plaintext
        case .noise(let noise): step.output += try noise.sealed(plaintext)
        }
    }
}
