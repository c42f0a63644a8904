import Bytes
import Crypto

/// The running hash, chaining key and cipher of a Noise handshake.
///
/// Noise Protocol Framework revision 34, section 5.2.
struct NoiseSymmetricState {
    /// The hash of the protocol's name and of everything mixed in since.
    private(set) var hash: [UInt8]
    private var chainingKey: SecretBytes
    private var key: SecretBytes?
    private var nonce: UInt64 = 0

    init(protocolName: String) throws(LibP2PError) {
        let name = Array(protocolName.utf8)
        hash =
            name.count <= Hash.count
            ? name + [UInt8](repeating: 0, count: Hash.count - name.count) : Hash.sha256(of: name).array
        do {
            chainingKey = try SecretBytes(copying: hash)
        } catch {
            throw .limitReached("memory for keys")
        }
    }

    mutating func mix(hash data: [UInt8]) {
        hash = Hash.sha256(of: hash + data).array
    }

    mutating func mix(key material: SecretBytes) throws(LibP2PError) {
        let (next, cipherKey) = try Self.derive(chainingKey, material)
        chainingKey = next
        key = cipherKey
        nonce = 0
    }

    /// Encrypts if there is a key, and mixes the bytes for the wire into the hash.
    mutating func encryptAndHash(_ plaintext: [UInt8]) throws(LibP2PError) -> [UInt8] {
        guard let key else {
            mix(hash: plaintext)
            return plaintext
        }
        var cipher = try NoiseCipherState(key: key, nonce: nonce)
        var ciphertext = [UInt8](repeating: 0, count: plaintext.count + NoiseXX.tagLength)
        try hash.span.bytes.withUnsafeBytes { (data) throws(LibP2PError) in
            try plaintext.span.bytes.withUnsafeBytes { (source) throws(LibP2PError) in
                var span = ciphertext.mutableSpan
                var bytes = span.mutableBytes
                try bytes.withUnsafeMutableBytes { (target) throws(LibP2PError) in
                    try cipher.seal(source, into: target, authenticating: data)
                }
            }
        }
        nonce &+= 1
        mix(hash: ciphertext)
        return ciphertext
    }

    /// Decrypts if there is a key, and mixes the bytes from the wire into the hash.
    mutating func decryptAndHash(_ ciphertext: [UInt8]) throws(LibP2PError) -> [UInt8] {
        guard let key else {
            mix(hash: ciphertext)
            return ciphertext
        }
        guard ciphertext.count >= NoiseXX.tagLength else {
            throw .malformed("Noise handshake: a message is too short")
        }
        var cipher = try NoiseCipherState(key: key, nonce: nonce)
        var plaintext = ciphertext
        let count = try hash.span.bytes.withUnsafeBytes { (data) throws(LibP2PError) in
            var span = plaintext.mutableSpan
            var raw = span.mutableBytes
            return try raw.withUnsafeMutableBytes { (bytes) throws(LibP2PError) in
                try cipher.open(bytes, authenticating: data).count
            }
        }
        nonce &+= 1
        plaintext.removeSubrange(count...)
        mix(hash: ciphertext)
        return plaintext
    }

    /// The keys for the initiator's and the responder's direction.
    func split() throws(LibP2PError) -> (SecretBytes, SecretBytes) {
        try Self.derive(chainingKey, [UInt8]())
    }

    private static func derive(
        _ chainingKey: SecretBytes, _ input: some ByteSource
    ) throws(LibP2PError) -> (SecretBytes, SecretBytes) {
        do {
            let keys = try HKDF.noise(chainingKey: chainingKey, input: input, outputs: 2)
            return (keys[0], keys[1])
        } catch {
            throw .limitReached("memory for keys")
        }
    }
}
