import Crypto

/// A key and the number of messages that it has served. Each direction of a connection has one.
///
/// Noise Protocol Framework revision 34, section 5.1. A nonce is never used twice: `nonceExhausted` comes first.
struct NoiseCipherState: ~Copyable {
    private let cipher: ChaChaPoly
    private var nonce: UInt64

    /// Creates a cipher with a 32-byte key. `nonce` is the number of its next message.
    init(key: SecretBytes, nonce: UInt64 = 0) throws(LibP2PError) {
        do {
            cipher = try ChaChaPoly(key: key)
        } catch {
            throw .malformed("Noise key")
        }
        self.nonce = nonce
    }

    /// Encrypts `source` into `target`, which must be 16 bytes longer. Both may start at the same address.
    mutating func seal(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer,
        authenticating data: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) throws(LibP2PError) {
        // The framework reserves the last number.
        guard nonce < UInt64.max else { throw .nonceExhausted }
        cipher.seal(nonce: nonce, aad: data, in: source, into: target)
        nonce &+= 1
    }

    /// Decrypts `bytes` in place and returns the part with the plaintext.
    mutating func open(
        _ bytes: UnsafeMutableRawBufferPointer,
        authenticating data: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) throws(LibP2PError) -> UnsafeMutableRawBufferPointer {
        guard bytes.count >= NoiseXX.tagLength else { throw .malformed("Noise frame: shorter than its tag") }
        let plaintext = UnsafeMutableRawBufferPointer(rebasing: bytes[..<(bytes.count &- NoiseXX.tagLength)])
        try open(UnsafeRawBufferPointer(bytes), into: plaintext, authenticating: data)
        return plaintext
    }

    /// Decrypts `source` into `target`, which must be 16 bytes shorter. After an error the content of `target` is
    /// undefined.
    mutating func open(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer,
        authenticating data: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) throws(LibP2PError) {
        guard nonce < UInt64.max else { throw .nonceExhausted }
        guard cipher.open(nonce: nonce, aad: data, in: source, into: target) else { throw .decryptionFailed }
        nonce &+= 1
    }

    /// Begins to decrypt a message that comes in pieces. `open` must not be called before `finishOpening`.
    mutating func beginOpening() throws(LibP2PError) {
        guard nonce < UInt64.max else { throw .nonceExhausted }
        guard cipher.beginOpening(nonce: nonce) else { throw .decryptionFailed }
    }

    /// Decrypts the next piece of a message. The plaintext must not be used before `finishOpening`.
    mutating func openNext(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(LibP2PError) {
        guard cipher.openNext(source, into: target) else { throw .decryptionFailed }
    }

    /// Ends a message in pieces. Throws if `tag`, of 16 bytes, is not that of all of them.
    mutating func finishOpening(tag: UnsafeRawBufferPointer) throws(LibP2PError) {
        guard cipher.finishOpening(tag: tag) else { throw .decryptionFailed }
        nonce &+= 1
    }
}
