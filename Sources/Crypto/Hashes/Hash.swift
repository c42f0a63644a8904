import Bytes
import CShims

/// A SHA-256 digest: 32 bytes, stored inline (docs/wire.md, section 1).
public struct Hash: Sendable {
    /// The number of bytes.
    public static let count = 32
    /// 32 zero bytes.
    public static let zero = Hash(words: (0, 0, 0, 0))

    /// The bytes in memory order.
    private var words: (UInt64, UInt64, UInt64, UInt64)

    private init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    /// Creates a hash from its 32 bytes.
    public init(_ source: some ByteSource) throws(CryptoError) {
        var hash = Hash.zero
        let fits = source.withUnsafeBytes { bytes in
            guard bytes.count == Hash.count else { return false }
            Swift.withUnsafeMutableBytes(of: &hash.words) { $0.copyMemory(from: bytes) }
            return true
        }
        guard fits else { throw .invalidHash }
        self = hash
    }

    /// Parses 64 hexadecimal digits.
    public init?(hex: some StringProtocol) {
        guard hex.utf8.count == 2 * Hash.count, let bytes = try? Hex.decode(hex), let hash = try? Hash(bytes)
        else { return nil }
        self = hash
    }

    /// Returns the SHA-256 of the bytes.
    public static func sha256(of source: some ByteSource) -> Hash {
        var hash = Hash.zero
        let made = source.withUnsafeBytes { bytes in
            PathMeter.hashed(bytes.count)
            return Swift.withUnsafeMutableBytes(of: &hash.words) {
                apus_sha256(bytes.baseAddress, bytes.count, $0.bindMemory(to: UInt8.self).baseAddress)
            }
        }
        precondition(made, "out of memory")
        return hash
    }

    /// Returns the SHA-256 of two concatenated hashes: an inner node of a Merkle tree.
    public static func sha256(of left: Hash, _ right: Hash) -> Hash {
        let pair = (left.words, right.words)
        return Swift.withUnsafeBytes(of: pair) { sha256(of: $0) }
    }

    /// A copy of the bytes.
    public var array: [UInt8] { withUnsafeBytes { [UInt8]($0) } }

    /// Creates a hash whose bytes `fill` writes.
    init(filledBy fill: (UnsafeMutableRawBufferPointer) -> Void) {
        self = .zero
        Swift.withUnsafeMutableBytes(of: &words) { fill($0) }
    }
}

extension Hash: ByteSource {
    /// Calls `body` with the 32 bytes.
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try Swift.withUnsafeBytes(of: words) { try body($0) }
    }
}

extension Hash: Hashable {
    /// Compares all bytes.
    public static func == (left: Hash, right: Hash) -> Bool {
        left.words == right.words
    }

    /// Hashes all bytes, because senders of transactions can choose some of them.
    public func hash(into hasher: inout Hasher) {
        withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}

extension Hash: CustomStringConvertible {
    /// 64 lower-case hexadecimal digits.
    public var description: String { Hex.encode(self) }
}
