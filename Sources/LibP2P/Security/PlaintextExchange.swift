import Crypto
import Multiformats

/// The handshake of `/plaintext/2.0.0`: each side sends its peer ID and public key, and proves nothing.
///
/// libp2p plaintext specification: an unsigned varint length and protobuf `Exchange{1: id, 2: pubkey}`, where `pubkey`
/// is the key's own protobuf message. A machine: feed it the bytes received, send the bytes it returns.
struct PlaintextExchange {
    /// The longest message accepted from a peer, in bytes: a peer ID and a key take under 100.
    static let maximumMessage = 1_024

    private let ownKey: PublicKey
    private let expectedPeer: PeerID?
    private var reader = ShortMessageReader(.varint, limit: maximumMessage, name: "plaintext exchange")

    /// Creates an exchange that has not begun. A dialer that expects a certain peer passes `expectedPeer`.
    init(ownKey: PublicKey, expectedPeer: PeerID?) {
        self.ownKey = ownKey
        self.expectedPeer = expectedPeer
    }

    /// Returns this side's message. Both sides send theirs without waiting.
    func start() -> [UInt8] {
        var exchange = ProtobufWriter()
        exchange.put(1, bytes: ownKey.peerID.bytes)
        exchange.put(2, bytes: ownKey.libp2pProtobuf)
        return exchange.delimited
    }

    /// Handles bytes from the peer and returns its key once the whole message has arrived.
    ///
    /// Throws `malformed`, `tooLarge` or `wrongPeer`.
    mutating func receive(_ bytes: UnsafeRawBufferPointer) throws(LibP2PError) -> UpgradeStep<PublicKey> {
        var step = UpgradeStep<PublicKey>()
        if let message = try reader.next(in: bytes, from: &step.consumed) {
            step.outcome = try key(in: message)
        }
        return step
    }

    private func key(in message: [UInt8]) throws(LibP2PError) -> PublicKey {
        var id: PeerID?
        var key: PublicKey?
        do {
            var reader = ProtobufReader(message)
            while let field = try reader.next() {
                switch field.number {
                case 1: id = try PeerID(bytes: try field.bytes.array)
                case 2: key = try PublicKey(libp2pProtobuf: try field.bytes.array)
                default: break
                }
            }
        } catch {
            throw .malformed("plaintext exchange")
        }
        guard let id, let key, key.peerID == id else {
            throw .malformed("plaintext exchange: the key does not match the peer ID")
        }
        if let expectedPeer, id != expectedPeer { throw .wrongPeer(expected: expectedPeer, actual: id) }
        return key
    }
}
