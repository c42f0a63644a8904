import Crypto

/// A key with the number of messages it has been used for; one for each direction of a connection.
///
/// Noise Protocol Framework revision 34, section 5.1. A nonce is never used twice: `nonceExhausted` comes first.
public struct NoiseCipherState: ~Copyable {
    private let cipher: ChaChaPoly
    private var nonce: UInt64

    /// A cipher with this 32-byte key whose next message has this number.
    init(key: SecretBytes, nonce: UInt64 = 0) throws(LibP2PError) {
        do {
            cipher = try ChaChaPoly(key: key)
        } catch {
            throw .malformed("Noise key")
        }
        self.nonce = nonce
    }

    /// Encrypts `source` into `target`, whose size must be the source's and 16 bytes more. The two may start at
    /// the same address.
    mutating func seal(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer,
        authenticating data: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) throws(LibP2PError) {
        // The last number is reserved by the framework.
        guard nonce < UInt64.max else { throw .nonceExhausted }
        cipher.seal(nonce: nonce, aad: data, in: source, into: target)
        nonce &+= 1
    }

    /// Decrypts `bytes` in place and returns the plaintext's part of it.
    mutating func open(
        _ bytes: UnsafeMutableRawBufferPointer,
        authenticating data: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) throws(LibP2PError) -> UnsafeMutableRawBufferPointer {
        guard bytes.count >= NoiseXX.tagLength else { throw .malformed("Noise frame: shorter than its tag") }
        let plaintext = UnsafeMutableRawBufferPointer(rebasing: bytes[..<(bytes.count &- NoiseXX.tagLength)])
        try open(UnsafeRawBufferPointer(bytes), into: plaintext, authenticating: data)
        return plaintext
    }

    /// Decrypts `source` into `target`, whose size must be the source's less 16 bytes. After an error `target` holds
    /// nothing of use.
    mutating func open(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer,
        authenticating data: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) throws(LibP2PError) {
        guard nonce < UInt64.max else { throw .nonceExhausted }
        guard cipher.open(nonce: nonce, aad: data, in: source, into: target) else { throw .decryptionFailed }
        nonce &+= 1
    }
}
