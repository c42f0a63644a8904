import Bytes
import Crypto
import Multiformats

/// The payload of a libp2p Noise handshake, in which an identity key signs the sender's static key.
///
/// libp2p noise specification, "The libp2p Handshake Payload": protobuf `NoiseHandshakePayload{1 identity_key, 2
/// identity_sig, 4 extensions{2 stream_muxers}}`; the signature is over "noise-libp2p-static-key:" and the static key.
/// `stream_muxers`: inlined muxer negotiation specification.
struct NoisePayload: Equatable {
    /// The most stream multiplexers accepted from a peer's list.
    static let maximumMuxers = 16

    /// The identity's public key as libp2p's protobuf.
    var identityKey: [UInt8]
    /// The identity's signature of the static key.
    var signature: [UInt8]
    /// Multiplexers in order of preference; empty if the side takes no part in early negotiation.
    var muxers: [String]

    /// Returns the message that the identity key signs.
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

    /// Returns the identity key if it has signed `staticKey`. Throws `malformed` or `badSignature`.
    func verifiedKey(staticKey: [UInt8]) throws(LibP2PError) -> PublicKey {
        guard let key = try? PublicKey(libp2pProtobuf: identityKey) else { throw .malformed("identity key") }
        guard key.verifyHandshake(signature, of: Self.signedMessage(staticKey: staticKey)) else {
            throw .badSignature
        }
        return key
    }
}

extension NoisePayload {
    /// Decodes a peer's payload. Skips unknown fields, as the specification requires. Throws `malformed`.
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
}
