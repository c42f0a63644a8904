import Bytes
import CShims

/// The cryptography behind keys and ciphers: this one is that of libcrypto, libsodium and libsecp256k1. A program may be
/// linked with another one, as the simulator is (docs/simulation.md, "Scale"); `apus` is not.
open class CryptoSuite: @unchecked Sendable {
    /// What a signature is for, which decides its form.
    public enum Purpose: Sendable {
        /// Nodes' and accounts' messages: 64 bytes for Ed25519, 65 bytes r‖s‖v for secp256k1.
        case message
        /// libp2p's handshakes: 64 bytes for Ed25519, DER for secp256k1.
        case handshake
    }

    /// The suite of this process.
    package static let current =
        apus_crypto_suite().map { Unmanaged<CryptoSuite>.fromOpaque($0).takeUnretainedValue() }
        ?? CryptoSuite()

    /// The libraries' suite.
    public init() {}

    // MARK: Signatures

    /// Whether 33 bytes are a public key on secp256k1.
    open func isPoint(_ bytes: [UInt8]) -> Bool { Secp256k1.isValid(publicKey: bytes) }

    /// The key's signature of `message`.
    open func sign(_ message: UnsafeRawBufferPointer, for purpose: Purpose, with key: PrivateKey) -> [UInt8] {
        switch (key.type, purpose) {
        case (.ed25519, _): Ed25519.sign(message, key.secret)
        case (.secp256k1, .message): Secp256k1.sign(digest: .sha256(of: message), key.secret)
        case (.secp256k1, .handshake): Secp256k1.signDER(digest: .sha256(of: message), key.secret)
        }
    }

    /// Whether `signature` of `message` is the key's.
    open func verify(
        _ signature: UnsafeRawBufferPointer, of message: UnsafeRawBufferPointer, for purpose: Purpose,
        by key: PublicKey
    ) -> Bool {
        switch (key.type, purpose) {
        case (.ed25519, _): Ed25519.verify(signature, of: message, by: key.bytes)
        case (.secp256k1, .message):
            Secp256k1.verify(signature, digest: .sha256(of: message), by: key.bytes)
        case (.secp256k1, .handshake):
            Secp256k1.verify(der: signature, digest: .sha256(of: message), by: key.bytes)
        }
    }

    // MARK: Key agreement

    /// The public half of an X25519 key.
    open func agreementKey(of privateKey: SecretBytes) -> [UInt8] {
        var publicKey = [UInt8](repeating: 0, count: X25519.keyCount)
        privateKey.withUnsafeBytes { _ = crypto_scalarmult_base(&publicKey, $0.uint8) }
        return publicKey
    }

    /// The X25519 secret shared with the owner of a public key of 32 bytes.
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

    /// A cipher under a key of 32 bytes.
    open func makeCipher(key: UnsafeRawBufferPointer) throws(CryptoError) -> Cipher {
        try LibraryCipher(key: key)
    }
}

/// ChaCha20-Poly1305 under one key, as a suite does it. This base refuses everything. Its users see to it that there is
/// room.
open class Cipher {
    /// A cipher that refuses everything.
    public init() {}

    /// Encrypts `source` into `target`, followed by the tag. False if that cannot be done.
    open func seal(
        nonce: UInt64, aad: UnsafeRawBufferPointer, in source: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) -> Bool { false }

    /// Decrypts `source`, which ends with a tag, into `target`. False if the tag is wrong.
    open func open(
        nonce: UInt64, aad: UnsafeRawBufferPointer, in source: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) -> Bool { false }
}
