import Bytes
import Crypto
import Multiformats

/// What each side proves in a libp2p Noise handshake: that its identity key vouches for its static key.
///
/// libp2p noise specification, "The libp2p Handshake Payload": protobuf with 1 identity key, 2 signature of
/// "noise-libp2p-static-key:" and the static key, 4 extensions with 2 stream multiplexers (inlined muxer negotiation
/// specification).
struct NoisePayload: Equatable {
    /// Stream multiplexers taken from a peer's list; it is a list of preferences, not a data channel.
    static let maximumMuxers = 16

    /// The identity's public key as libp2p's protobuf.
    var identityKey: [UInt8]
    /// The identity's signature of the static key.
    var signature: [UInt8]
    /// Multiplexers in order of preference; empty when the side takes no part in early negotiation.
    var muxers: [String]

    /// What the identity signs.
    static func signedMessage(staticKey: [UInt8]) -> [UInt8] {
        Array("noise-libp2p-static-key:".utf8) + staticKey
    }

    /// The payload's protobuf.
    var encoded: [UInt8] {
        var writer = ProtobufWriter()
        writer.put(1, bytes: identityKey)
        writer.put(2, bytes: signature)
        if !muxers.isEmpty {
            var extensions = ProtobufWriter()
            for muxer in muxers {
                extensions.put(2, text: muxer)
            }
            writer.put(4, bytes: extensions.bytes)
        }
        return writer.bytes
    }

    /// The payload with these parts.
    init(identityKey: [UInt8], signature: [UInt8], muxers: [String]) {
        self.identityKey = identityKey
        self.signature = signature
        self.muxers = muxers
    }

    /// A peer's payload. Unknown fields are skipped, as the specification asks.
    init(decoding bytes: [UInt8]) throws(LibP2PError) {
        self.init(identityKey: [], signature: [], muxers: [])
        do {
            var reader = ProtobufReader(bytes)
            while let field = try reader.next() {
                switch field.number {
                case 1: identityKey = try field.bytes.array
                case 2: signature = try field.bytes.array
                case 4: try decodeExtensions(try field.bytes)
                default: break
                }
            }
        } catch {
            throw .malformed("Noise payload")
        }
    }

    private mutating func decodeExtensions(_ bytes: SharedBytes) throws(BytesError) {
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            guard field.number == 2, muxers.count < Self.maximumMuxers else { continue }
            muxers.append(try field.text)
        }
    }

    /// The key that the payload proves, for a side with this static key.
    func verifiedKey(staticKey: [UInt8]) throws(LibP2PError) -> PublicKey {
        guard let key = try? PublicKey(libp2pProtobuf: identityKey) else { throw .malformed("identity key") }
        guard key.verifyHandshake(signature, of: Self.signedMessage(staticKey: staticKey)) else {
            throw .badSignature
        }
        return key
    }
}
