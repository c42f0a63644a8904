import Bytes
import CShims

/// ECDSA on secp256k1 by libsecp256k1. Digests are SHA-256 or Keccak-256, both 32 bytes.
enum Secp256k1 {
    /// A context for signing, blinded once. libsecp256k1 only reads it, from any thread.
    private nonisolated(unsafe) static let context: OpaquePointer = {
        guard let context = secp256k1_context_create(UInt32(SECP256K1_CONTEXT_NONE)) else {
            preconditionFailure("out of memory")
        }
        precondition(secp256k1_context_randomize(context, SecureRandom.bytes(32)) == 1)
        return context
    }()

    private static func parse(_ publicKey: [UInt8]) -> secp256k1_pubkey? {
        guard publicKey.count == KeyType.secp256k1.publicKeyCount else { return nil }
        return points.point(of: publicKey) { key in
            var point = secp256k1_pubkey()
            return secp256k1_ec_pubkey_parse(context, &point, key, key.count) == 1 ? point : nil
        }
    }

    /// The points of recently used keys. To find a point takes a square root, a seventh of the time of a verification, and
    /// blocks, votes and transactions mostly come from keys that have been seen before.
    private static let points = PointCache()

    static func isValid(publicKey: [UInt8]) -> Bool { parse(publicKey) != nil }

    private static func serialize(_ point: secp256k1_pubkey, compressed: Bool) -> [UInt8] {
        var point = point
        var count = compressed ? 33 : 65
        var bytes = [UInt8](repeating: 0, count: count)
        let flags = compressed ? SECP256K1_EC_COMPRESSED : SECP256K1_EC_UNCOMPRESSED
        _ = secp256k1_ec_pubkey_serialize(context, &bytes, &count, &point, UInt32(flags))
        return bytes
    }

    /// Returns a point's two coordinates, 64 bytes.
    static func uncompressed(_ publicKey: [UInt8]) -> [UInt8]? {
        parse(publicKey).map { Array(serialize($0, compressed: false).dropFirst()) }
    }

    /// Returns the compressed public key, or nil if the private key is out of range.
    static func publicKey(of secret: SecretBytes) -> [UInt8]? {
        guard secret.count == KeyType.secp256k1.privateKeyCount else { return nil }
        var point = secp256k1_pubkey()
        let made = secret.withUnsafeBytes { secp256k1_ec_pubkey_create(context, &point, $0.uint8) }
        return made == 1 ? serialize(point, compressed: true) : nil
    }

    /// Returns r‖s‖v, where v is 0 or 1 (in theory up to 3), with the nonce of RFC 6979.
    static func sign(digest: Hash, _ secret: SecretBytes) -> [UInt8] {
        var signature = secp256k1_ecdsa_recoverable_signature()
        let made = secret.withUnsafeBytes { key in
            digest.withUnsafeBytes {
                secp256k1_ecdsa_sign_recoverable(context, &signature, $0.uint8, key.uint8, nil, nil)
            }
        }
        precondition(made == 1, "a valid private key can sign")
        var bytes = [UInt8](repeating: 0, count: 65)
        var recovery: Int32 = 0
        _ = secp256k1_ecdsa_recoverable_signature_serialize_compact(context, &bytes, &recovery, &signature)
        bytes[64] = UInt8(truncatingIfNeeded: recovery)
        return bytes
    }

    static func signDER(digest: Hash, _ secret: SecretBytes) -> [UInt8] {
        var signature = secp256k1_ecdsa_signature()
        let made = secret.withUnsafeBytes { key in
            digest.withUnsafeBytes {
                secp256k1_ecdsa_sign(context, &signature, $0.uint8, key.uint8, nil, nil)
            }
        }
        precondition(made == 1, "a valid private key can sign")
        var count = 72
        var bytes = [UInt8](repeating: 0, count: count)
        _ = secp256k1_ecdsa_signature_serialize_der(context, &bytes, &count, &signature)
        return Array(bytes.prefix(count))
    }

    /// Returns whether a signature, in its purpose's form, signs `digest`; v is ignored.
    ///
    /// Accepts s in either half, as the reference and other libp2p implementations do, because this node must
    /// not reject a block that they accept. libsecp256k1 itself accepts only the lower half.
    static func verify(
        _ signature: UnsafeRawBufferPointer, for purpose: CryptoSuite.Purpose, digest: Hash,
        by publicKey: [UInt8]
    ) -> Bool {
        var given = secp256k1_ecdsa_signature()
        let isParsed =
            switch purpose {
            case .message:
                signature.count == KeyType.secp256k1.signatureCount
                    && secp256k1_ecdsa_signature_parse_compact(context, &given, signature.uint8) == 1
            case .handshake:
                secp256k1_ecdsa_signature_parse_der(context, &given, signature.uint8, signature.count) == 1
            }
        guard isParsed, var point = parse(publicKey) else { return false }
        var normalized = secp256k1_ecdsa_signature()
        _ = secp256k1_ecdsa_signature_normalize(context, &normalized, &given)
        return digest.withUnsafeBytes {
            secp256k1_ecdsa_verify(context, &normalized, $0.uint8, &point) == 1
        }
    }

    /// Returns the 64 coordinate bytes of the key that made r‖s over `digest`, selected by `recovery` (0 to
    /// 3), or nil if there is none.
    static func recover(_ signature: UnsafeRawBufferPointer, recovery: UInt8, digest: Hash) -> [UInt8]? {
        var parsed = secp256k1_ecdsa_recoverable_signature()
        var point = secp256k1_pubkey()
        guard signature.count >= 64, recovery <= 3,
            secp256k1_ecdsa_recoverable_signature_parse_compact(
                context, &parsed, signature.uint8, Int32(recovery)) == 1,
            digest.withUnsafeBytes({ secp256k1_ecdsa_recover(context, &point, &parsed, $0.uint8) }) == 1
        else { return nil }
        return Array(serialize(point, compressed: false).dropFirst())
    }
}
