import Crypto
import Multiformats

/// Upgrades a raw connection to a secured one with a multiplexer: multistream-select, the security handshake, and
/// multistream-select for the multiplexer inside it, unless the handshake has negotiated one.
///
/// docs/wire.md, section 6; libp2p connections specification, "Upgrading Connections". A machine: feed it the bytes
/// received, send the bytes it returns. One object serves one connection.
///
/// A dialer with one security protocol sends the handshake's first message right after its offer, which saves a round
/// trip.
final class SecurityUpgrade {
    /// The host's part in every upgrade.
    struct Configuration: Sendable {
        /// The host's identity.
        var identity: PrivateKey
        /// The host's key for Noise handshakes, signed by `identity`.
        var noise: NoiseIdentity
        /// Security protocols in order of preference: any of `.noise`, `.noiseChainID` and `.plaintext`.
        var protocols: [ProtocolID]
        /// Multiplexers in order of preference.
        var muxers: [ProtocolID]
        /// The chain ID that `.noiseChainID` requires.
        var chainID: String

        /// Creates a configuration. `staticKey` is the host's key pair for Noise handshakes.
        init(
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

    /// The transport of an upgraded connection.
    enum Transport {
        /// Framed and encrypted.
        case noise(NoiseTransport)
        /// Neither framed nor encrypted.
        case plaintext
    }

    /// The result of an upgrade.
    struct Outcome {
        /// The remote identity key; with `.plaintext` it is only a claim.
        let remoteKey: PublicKey
        /// The peer ID of `remoteKey`.
        let remotePeer: PeerID
        /// The negotiated security protocol.
        let security: ProtocolID
        /// The negotiated multiplexer.
        let muxer: ProtocolID
        /// Cipher and framing for all further bytes.
        let transport: Transport
        /// Plaintext received after the handshake, which belongs to the multiplexer. Feed it before anything else.
        let leftover: [UInt8]
    }

    /// A security protocol's exchange.
    private enum Handshake {
        case noise(NoiseHandshake)
        case plaintext(PlaintextExchange)
    }

    /// The result of a finished handshake.
    private struct Secured {
        let security: ProtocolID
        let remoteKey: PublicKey
        let transport: Transport
    }

    private enum Phase {
        /// `early` is the handshake begun before the listener has confirmed the protocol.
        case dialingSecurity(MultistreamDialer, early: Handshake?)
        case listeningSecurity(MultistreamListener)
        case handshake(Handshake, ProtocolID)
        case chainID(ChainIDExchange, NoiseHandshake.Outcome)
        case dialingMuxer(MultistreamDialer, Secured)
        case listeningMuxer(MultistreamListener, Secured)
        /// Further plaintext belongs to the multiplexer.
        case done(Secured, muxer: ProtocolID)
        /// The outcome has been returned, or an error thrown.
        case closed
    }

    private let configuration: Configuration
    private let dialing: Bool
    private let expectedPeer: PeerID?
    private let ephemeral: NoiseKeyPair
    private let pool: FrameBufferPool
    private var phase: Phase
    private var step = UpgradeStep<Outcome>()
    /// Plaintext received after the multiplexer was chosen.
    private var leftover: [UInt8] = []

    /// Creates an upgrade that has not begun.
    ///
    /// `ephemeral` is this connection's Noise ephemeral key pair; it must be fresh and random. A dialer that expects a
    /// certain peer passes `expectedPeer`.
    init(
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

    /// Returns the first bytes to send; none for a listener.
    func start() throws(LibP2PError) -> [UInt8] {
        guard case .dialingSecurity(let dialer, _) = phase else { return [] }
        var output = dialer.start()
        if dialer.mayWriteEarly, let only = configuration.protocols.first {
            let (early, first) = try handshake(only)
            phase = .dialingSecurity(dialer, early: early)
            output += first
        }
        return output
    }

    /// Handles bytes from the peer, and overwrites them.
    ///
    /// Throws the protocols' errors, `dialedSelf` if the peer is this host, and `malformed` after the end. After an
    /// error, close the connection without sending anything. After the outcome, the upgrade takes no more bytes.
    func receive(
        _ bytes: UnsafeMutableRawBufferPointer
    ) throws(LibP2PError) -> UpgradeStep<Outcome> {
        do {
            try advance(bytes)
        } catch {
            phase = .closed
            throw error
        }
        defer { step = UpgradeStep() }
        return step
    }

    private func advance(_ bytes: UnsafeMutableRawBufferPointer) throws(LibP2PError) {
        var offset = 0
        while offset < bytes.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
            let view = UnsafeRawBufferPointer(rest)
            switch phase {
            case .dialingSecurity(var dialer, let early):
                let selected = take(try dialer.receive(view), &offset)
                phase = .dialingSecurity(dialer, early: early)
                if let selected { try begin(selected, early) }
            case .listeningSecurity(var listener):
                let selected = take(
                    try listener.receive(view, protocols: configuration.protocols), &offset)
                phase = .listeningSecurity(listener)
                if let selected { try begin(selected, nil) }
            case .handshake(.noise(var handshake), let security):
                let outcome = take(try handshake.receive(view), &offset)
                phase = .handshake(.noise(handshake), security)
                if let outcome { try finish(outcome, security) }
            case .handshake(.plaintext(var exchange), let security):
                let key = take(try exchange.receive(view), &offset)
                phase = .handshake(.plaintext(exchange), security)
                if let key {
                    try secured(Secured(security: security, remoteKey: key, transport: .plaintext), nil)
                }
            case .chainID(var exchange, let outcome):
                let isDone = take(try exchange.receive(view), &offset) != nil
                phase = .chainID(exchange, outcome)
                if isDone { try secured(outcome, .noiseChainID) }
            case .dialingMuxer(_, let secured), .listeningMuxer(_, let secured), .done(let secured, _):
                try receive(rest, through: secured.transport)
                offset = bytes.count
            case .closed:
                throw .malformed("connection: bytes after the end of the upgrade")
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

    /// Takes the bytes that a part of the upgrade has used and returned, and returns its outcome.
    private func take<Part>(_ part: UpgradeStep<Part>, _ offset: inout Int) -> Part? {
        offset &+= part.consumed
        step.output += part.output
        return part.outcome
    }

    /// Begins the handshake of a security protocol and returns it with this side's first bytes.
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

    /// Continues over the transport of a peer that is known now. `muxer` is the handshake's choice, if it made one.
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

    /// Carries out a step of the multiplexer's negotiation.
    private func take(
        _ result: UpgradeStep<ProtocolID>, of bytes: UnsafeRawBufferPointer, _ secured: Secured
    ) throws(LibP2PError) {
        if !result.output.isEmpty { try send(result.output, through: secured.transport) }
        guard let selected = result.outcome else { return }
        phase = .done(secured, muxer: selected)
        leftover.append(contentsOf: bytes[result.consumed...])
    }

    /// Appends plaintext to the output, encrypted by the transport.
    private func send(_ plaintext: [UInt8], through transport: Transport) throws(LibP2PError) {
        switch transport {
        case .plaintext: step.output += plaintext
        case .noise(let noise): step.output += try noise.sealed(plaintext)
        }
    }
}
