import Bytes
import Synchronization

/// A stand-in for signatures, key agreement and encryption whose results have the same sizes, for simulations of very
/// many nodes (docs/simulation.md, "Scale").
///
/// It tells keys and messages apart and keeps nothing secret: who knows a public key can sign with it. It is switched on
/// for a whole process, by `apus simulate` alone; hosts refuse to run on a real network then.
package enum CheapCrypto {
    private static let flag = Atomic(false)

    /// Whether the stand-in takes the place of the cryptography.
    package static var isActive: Bool { flag.load(ordering: .relaxed) }

    /// Switches it on until the process ends. Call it before any key or host is made.
    package static func activate() { flag.store(true, ordering: .relaxed) }

    /// `count` bytes that follow from a public key and a message.
    static func signature(_ message: some ByteSource, by publicKey: [UInt8], count: Int) -> [UInt8] {
        var hasher = SHA256()
        hasher.update(publicKey)
        hasher.update(message)
        let digest = hasher.finalize().array
        return (0..<count).map { digest[$0 % digest.count] }
    }

    static func verify(
        _ signature: some ByteSource, of message: some ByteSource, by publicKey: [UInt8], count: Int
    ) -> Bool {
        let expected = self.signature(message, by: publicKey, count: count)
        return signature.withUnsafeBytes { $0.elementsEqual(expected) }
    }

    /// The public half of a key for `agreement`.
    static func publicKey(of privateKey: SecretBytes) -> [UInt8] {
        privateKey.withUnsafeBytes { Hash.sha256(of: $0).array }
    }

    /// What two owners of keys come to, each with the other's public one.
    static func agreement(_ own: [UInt8], _ other: [UInt8]) -> [UInt8] {
        Hash.sha256(of: zip(own, other).map { $0 ^ $1 }).array
    }

    /// Bytes of a handshake's signature: a typical DER encoding for secp256k1.
    static func handshakeCount(_ type: KeyType) -> Int { type == .secp256k1 ? 71 : type.signatureCount }

    /// What stands for a sealed text's tag: follows from key, nonce, additional data and text.
    static func tag(
        key: UInt64, nonce: UInt64, aad: UnsafeRawBufferPointer, text: UnsafeRawBufferPointer
    ) -> UInt64 {
        var sum = mix(key &+ nonce, UInt64(truncatingIfNeeded: text.count))
        for part in [aad, text] {
            var place = 0
            while place &+ 8 <= part.count {
                sum = mix(sum, part.loadUnaligned(fromByteOffset: place, as: UInt64.self))
                place &+= 8
            }
            while place < part.count {
                sum = mix(sum, UInt64(part[place]))
                place &+= 1
            }
        }
        return sum
    }

    private static func mix(_ sum: UInt64, _ word: UInt64) -> UInt64 {
        let product = (sum ^ word) &* 0x9E37_79B9_7F4A_7C15
        return product ^ (product &>> 32)
    }
}
