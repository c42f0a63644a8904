import Bytes
import CShims

/// The cryptography behind keys and ciphers. This class uses libcrypto, libsodium and libsecp256k1. The simulator is linked
/// with another one (docs/simulation.md, "Scale"); `apus` is not.
open class CryptoSuite: @unchecked Sendable {
    /// The purpose of a signature, which determines its form.
    public enum Purpose: Sendable {
        /// Messages of nodes and accounts: 64 bytes for Ed25519, 65 bytes r‖s‖v for secp256k1.
        case message
        /// libp2p's handshakes: 64 bytes for Ed25519, DER for secp256k1.
        case handshake
    }

    /// The suite of this process.
    package static let current =
        apus_crypto_suite().map { Unmanaged<CryptoSuite>.fromOpaque($0).takeUnretainedValue() }
        ?? CryptoSuite()

    /// Creates a suite that uses the libraries.
    public init() {}

    // MARK: Signatures

    /// Returns whether 33 bytes are a public key on secp256k1.
    open func isPoint(_ bytes: [UInt8]) -> Bool { Secp256k1.isValid(publicKey: bytes) }

    /// Returns the key's signature of `message`.
    open func sign(_ message: UnsafeRawBufferPointer, for purpose: Purpose, with key: PrivateKey) -> [UInt8] {
        switch (key.type, purpose) {
        case (.ed25519, _): Ed25519.sign(message, key.secret)
        case (.secp256k1, .message): Secp256k1.sign(digest: .sha256(of: message), key.secret)
        case (.secp256k1, .handshake): Secp256k1.signDER(digest: .sha256(of: message), key.secret)
        }
    }

    /// Returns whether the key made `signature` of `message`.
    open func verify(
        _ signature: UnsafeRawBufferPointer, of message: UnsafeRawBufferPointer, for purpose: Purpose,
        by key: PublicKey
    ) -> Bool {
        switch key.type {
        case .ed25519: Ed25519.verify(signature, of: message, by: key.bytes)
        case .secp256k1:
            Secp256k1.verify(signature, for: purpose, digest: .sha256(of: message), by: key.bytes)
        }
    }

    // MARK: Key agreement

    /// Returns the public half of an X25519 key.
    open func agreementKey(of privateKey: SecretBytes) -> [UInt8] {
        var publicKey = [UInt8](repeating: 0, count: X25519.keyCount)
        privateKey.withUnsafeBytes { _ = crypto_scalarmult_base(&publicKey, $0.uint8) }
        return publicKey
    }

    /// Returns the X25519 secret shared with the owner of a public key of 32 bytes.
    open func agree(
        _ privateKey: SecretBytes, with publicKey: UnsafeRawBufferPointer
    ) throws(CryptoError) -> SecretBytes {
        var status: Int32 = -1
        let secret = try SecretBytes(count: X25519.keyCount) { target in
            privateKey.withUnsafeBytes {
                status = crypto_scalarmult(target.uint8, $0.uint8, publicKey.uint8)
            }
        }
        guard status == 0 else { throw .weakKeyExchange }
        return secret
    }

    // MARK: Encryption

    /// Creates a cipher from a key of 32 bytes.
    open func makeCipher(key: UnsafeRawBufferPointer) throws(CryptoError) -> Cipher {
        try LibraryCipher(key: key)
    }
}

/// A suite's ChaCha20-Poly1305 with one key. This base class refuses everything. The caller ensures that targets have room.
open class Cipher {
    /// Creates a cipher that refuses everything.
    public init() {}

    /// Encrypts `source` into `target` and appends the tag. Returns false on failure.
    open func seal(
        nonce: UInt64, aad: UnsafeRawBufferPointer, in source: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) -> Bool { false }

    /// Begins to decrypt a message. Another must not begin before it is finished, unless it is given up.
    open func beginOpening(nonce: UInt64, aad: UnsafeRawBufferPointer) -> Bool { false }

    /// Decrypts the message's next bytes, without its tag, into `target`. They must not be used before `finishOpening` has
    /// returned true.
    open func openNext(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Bool {
        false
    }

    /// Ends a message. Returns whether `tag`, of 16 bytes, is right.
    open func finishOpening(tag: UnsafeRawBufferPointer) -> Bool { false }
}
