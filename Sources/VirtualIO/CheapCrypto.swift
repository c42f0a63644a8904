import Bytes
import Crypto
import Synchronization

/// A substitute for signatures, key agreement and encryption whose results have the same sizes, for simulations of
/// very many nodes (docs/simulation.md, "Scale").
///
/// It distinguishes keys and messages but keeps nothing secret: a public key suffices to sign. Only `apus-sim`
/// activates it, for the whole process.
package final class CheapCrypto: CryptoSuite, @unchecked Sendable {
    private static let flag = Atomic(false)
    fileprivate static let suite = CheapCrypto()

    /// Whether the substitute replaces the cryptography.
    fileprivate static var isWanted: Bool { flag.load(ordering: .relaxed) }

    /// Activates the substitute until the process ends. Call it before anything in `Crypto` is used.
    package static func activate() {
        flag.store(true, ordering: .relaxed)
        precondition(CryptoSuite.current === suite, "keys have been used already")
    }

    override package func isPoint(_ bytes: [UInt8]) -> Bool { true }

    override package func sign(_ message: UnsafeRawBufferPointer, for purpose: Purpose, with key: PrivateKey)
        -> [UInt8]
    {
        signature(message, for: purpose, by: key.publicKey)
    }

    override package func verify(
        _ signature: UnsafeRawBufferPointer, of message: UnsafeRawBufferPointer, for purpose: Purpose,
        by key: PublicKey
    ) -> Bool {
        signature.elementsEqual(self.signature(message, for: purpose, by: key))
    }

    /// Returns bytes that depend on the public key and the message, as many as a real signature has.
    private func signature(_ message: UnsafeRawBufferPointer, for purpose: Purpose, by key: PublicKey)
        -> [UInt8]
    {
        var hasher = SHA256()
        hasher.update(key.bytes)
        hasher.update(message)
        let digest = hasher.finalize().array
        return (0..<count(key.type, purpose)).map { digest[$0 % digest.count] }
    }

    /// Returns the size of a signature in bytes; for DER a typical size.
    private func count(_ type: KeyType, _ purpose: Purpose) -> Int {
        type == .secp256k1 && purpose == .handshake ? 71 : type.signatureCount
    }

    override package func agreementKey(of privateKey: SecretBytes) -> [UInt8] {
        Hash.sha256(of: privateKey).array
    }

    override package func agree(
        _ privateKey: SecretBytes, with publicKey: UnsafeRawBufferPointer
    ) throws(CryptoError) -> SecretBytes {
        let both = zip(agreementKey(of: privateKey), publicKey).map { $0 ^ $1 }
        return try SecretBytes(copying: Hash.sha256(of: both).array)
    }

    override package func makeCipher(key: UnsafeRawBufferPointer) throws(CryptoError) -> Cipher {
        CheapCipher(key: key)
    }
}

/// Returns the suite that replaces the one in `CShims`, or nil.
@c(apus_crypto_suite)
public func linkedCryptoSuite() -> UnsafeMutableRawPointer? {
    CheapCrypto.isWanted ? Unmanaged.passUnretained(CheapCrypto.suite).toOpaque() : nil
}

/// A cipher that leaves the text as it is and puts a checksum in place of the tag.
private final class CheapCipher: Cipher {
    private let key: UInt64
    /// The checksum of the message that is being opened.
    private var opened = Checksum(0)

    init(key: UnsafeRawBufferPointer) { self.key = key.loadUnaligned(as: UInt64.self) }

    override func seal(
        nonce: UInt64, aad: UnsafeRawBufferPointer, in source: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        var checksum = begun(nonce, aad)
        checksum.add(source)
        if let start = source.baseAddress {
            target.baseAddress?.copyMemory(from: start, byteCount: source.count)
        }
        target.storeBytes(of: checksum.value, toByteOffset: source.count, as: UInt64.self)
        target.storeBytes(of: checksum.value, toByteOffset: source.count + 8, as: UInt64.self)
        return true
    }

    override func beginOpening(nonce: UInt64, aad: UnsafeRawBufferPointer) -> Bool {
        opened = begun(nonce, aad)
        return true
    }

    override func openNext(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        opened.add(source)
        if let start = source.baseAddress {
            target.baseAddress?.copyMemory(from: start, byteCount: source.count)
        }
        return true
    }

    override func finishOpening(tag: UnsafeRawBufferPointer) -> Bool {
        tag.loadUnaligned(as: UInt64.self) == opened.value
    }

    /// Returns the checksum of key, nonce and additional data.
    private func begun(_ nonce: UInt64, _ aad: UnsafeRawBufferPointer) -> Checksum {
        var checksum = Checksum(key &+ nonce)
        checksum.add(aad)
        return checksum
    }
}

/// A checksum of bytes, however they are divided into pieces.
private struct Checksum {
    private var sum: UInt64
    private var count: UInt64 = 0
    /// The last bytes, fewer than a word.
    private var rest: UInt64 = 0
    private var restBits: UInt64 = 0

    init(_ seed: UInt64) { sum = seed }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        count &+= UInt64(truncatingIfNeeded: bytes.count)
        var place = 0
        while place < bytes.count, restBits > 0 || bytes.count &- place < 8 {
            rest |= UInt64(bytes[place]) &<< restBits
            restBits &+= 8
            place &+= 1
            if restBits == 64 {
                mix(rest)
                rest = 0
                restBits = 0
            }
        }
        while place &+ 8 <= bytes.count {
            mix(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)))
            place &+= 8
        }
        while place < bytes.count {
            rest |= UInt64(bytes[place]) &<< restBits
            restBits &+= 8
            place &+= 1
        }
    }

    var value: UInt64 {
        var ended = self
        ended.mix(rest)
        ended.mix(count)
        return ended.sum
    }

    private mutating func mix(_ word: UInt64) {
        let product = (sum ^ word) &* 0x9E37_79B9_7F4A_7C15
        sum = product ^ (product &>> 32)
    }
}
