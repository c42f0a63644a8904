import Crypto
import Multiformats

/// The libp2p Noise handshake: XX with identity payloads, framed for the wire, for either role.
///
/// libp2p noise specification. A machine: feed it the bytes received, send the bytes it returns. The dialer verifies
/// the listener's identity before it reveals its own.
struct NoiseHandshake {
    /// The longest handshake message accepted from a peer, in bytes. Two keys, a signature and a few names take under
    /// 500 bytes; this leaves room for extensions.
    static let maximumMessage = 8_192

    /// The result of a finished handshake.
    struct Outcome {
        /// The other side's identity key.
        let remoteKey: PublicKey
        /// The cipher and framing for the connection's life.
        let transport: NoiseTransport
        /// The multiplexer agreed on in the payloads; nil if it must be negotiated.
        let muxer: ProtocolID?
    }

    private var noise: NoiseXX
    private let identity: NoiseIdentity
    private let expectedPeer: PeerID?
    private let pool: FrameBufferPool
    private var reader = ShortMessageReader(.u16, limit: maximumMessage, name: "Noise handshake message")
    private var remote: (key: PublicKey, muxers: [String])?

    /// Creates a handshake that has not begun.
    ///
    /// `ephemeral` must be fresh and random. A dialer that expects a certain peer passes `expectedPeer`.
    init(
        dialing: Bool, identity: NoiseIdentity, ephemeral: NoiseKeyPair, expectedPeer: PeerID?,
        pool: FrameBufferPool
    ) throws(LibP2PError) {
        noise = try NoiseXX(
            role: dialing ? .initiator : .responder, staticKey: identity.staticKey, ephemeral: ephemeral)
        self.identity = identity
        self.expectedPeer = expectedPeer
        self.pool = pool
    }

    /// Returns the dialer's first bytes; none for a listener.
    mutating func start() throws(LibP2PError) -> [UInt8] {
        guard noise.isWriting else { return [] }
        return Self.framed(try noise.write(payload: []))
    }

    /// Handles bytes from the peer, up to the end of the last handshake message.
    mutating func receive(
        _ bytes: UnsafeRawBufferPointer
    ) throws(LibP2PError) -> UpgradeStep<Outcome> {
        var step = UpgradeStep<Outcome>()
        while step.outcome == nil, let message = try reader.next(in: bytes, from: &step.consumed) {
            let payload = try noise.read(message)
            // The first message is not encrypted and proves nothing, so its payload is ignored.
            if noise.messages > 1 {
                let decoded = try NoisePayload(decoding: payload)
                let key = try decoded.verifiedKey(staticKey: noise.remoteStatic)
                if let expectedPeer, key.peerID != expectedPeer {
                    throw .wrongPeer(expected: expectedPeer, actual: key.peerID)
                }
                remote = (key, decoded.muxers)
            }
            if noise.isWriting {
                step.output += Self.framed(try noise.write(payload: identity.payload.encoded))
            }
            if noise.isComplete { step.outcome = try outcome() }
        }
        return step
    }

    private func outcome() throws(LibP2PError) -> Outcome {
        guard let remote else { throw .malformed("Noise handshake: no identity") }
        let keys = try noise.split()
        return Outcome(
            remoteKey: remote.key,
            transport: NoiseTransport(
                sending: try NoiseCipherState(key: keys.send),
                receiving: try NoiseCipherState(key: keys.receive), pool: pool),
            muxer: try agreedMuxer(remote.muxers))
    }

    /// Returns the first of the initiator's multiplexers that the responder supports; nil if one side lists none, so
    /// that it must be negotiated. Lists without a common one must fail (inlined muxer negotiation specification).
    private func agreedMuxer(_ remote: [String]) throws(LibP2PError) -> ProtocolID? {
        let local = identity.payload.muxers
        guard !local.isEmpty, !remote.isEmpty else { return nil }
        let (wanted, known) = noise.role == .initiator ? (local, remote) : (remote, local)
        guard let agreed = wanted.first(where: { known.contains($0) }) else {
            throw .noCommonMultiplexer(remote.map { ProtocolID(Self.printable($0)) })
        }
        return ProtocolID(agreed)
    }

    /// A name that a peer sent, made safe to show in an error.
    private static func printable(_ name: String) -> String {
        String(decoding: name.utf8.prefix(64).map { (0x21...0x7e).contains($0) ? $0 : 0x3f }, as: UTF8.self)
    }

    /// Returns a message preceded by its length, a big-endian u16.
    static func framed(_ message: [UInt8]) -> [UInt8] {
        [UInt8(truncatingIfNeeded: message.count >> 8), UInt8(truncatingIfNeeded: message.count)] + message
    }
}

/// The host's part in every Noise handshake: a static key, signed by its identity key.
struct NoiseIdentity: Sendable {
    let staticKey: NoiseKeyPair
    let payload: NoisePayload

    /// Signs `staticKey` with the host's identity once, for all handshakes. `muxers` are offered for early negotiation,
    /// in order of preference; an empty list disables it.
    init(_ identity: PrivateKey, staticKey: NoiseKeyPair, muxers: [ProtocolID]) {
        self.staticKey = staticKey
        let message = NoisePayload.signedMessage(staticKey: staticKey.publicKey)
        payload = NoisePayload(
            identityKey: identity.publicKey.libp2pProtobuf, signature: identity.signHandshake(message),
            muxers: muxers.map(\.rawValue))
    }
}
