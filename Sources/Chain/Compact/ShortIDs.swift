import Bytes
import Crypto

/// Short IDs of a block's transactions, in the block's order: 48 bits of each ID's SipHash, whose key is the block's hash
/// (docs/wire.md, section 8).
///
/// Nobody knows the key before the block exists, so no author of transactions can prepare two with the same short ID.
public struct ShortIDs: Sendable {
    /// The size of a short ID, in bytes.
    public static let size = 6
    private static let mask: UInt64 = 0xFFFF_FFFF_FFFF

    /// The short IDs one after another, as sent.
    public let bytes: SharedBytes
    private let siphash: SipHash

    /// The number of transactions.
    public var count: Int { bytes.count / Self.size }

    /// Computes the short IDs of a block's transactions. Takes some tens of nanoseconds for each.
    public init(of ids: [Hash], in block: Hash) {
        siphash = SipHash(key: block)
        var writer = ByteWriter(capacity: ids.count * Self.size)
        for id in ids {
            let short = siphash.hash(id) & Self.mask
            writer.put(u32: UInt32(truncatingIfNeeded: short))
            writer.put(u16: UInt16(truncatingIfNeeded: short &>> 32))
        }
        bytes = SharedBytes(writer.bytes)
    }

    /// Short IDs that a peer has sent. Bytes at the end that are no whole short ID are ignored.
    public init(_ bytes: SharedBytes, in block: Hash) {
        self.bytes = bytes
        siphash = SipHash(key: block)
    }

    /// The short ID at an index below `count`.
    subscript(index: Int) -> UInt64 {
        let slice = bytes.slice(index * Self.size..<(index + 1) * Self.size)
        return slice.withUnsafeBytes {
            UInt64(UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)))
                | UInt64(UInt16(littleEndian: $0.loadUnaligned(fromByteOffset: 4, as: UInt16.self))) &<< 32
        }
    }

    /// The short ID that a transaction would have in the block.
    func short(_ id: Hash) -> UInt64 { siphash.hash(id) & Self.mask }

    /// Returns whether these are the short IDs of a block's transactions.
    public func fit(_ ids: [Hash]) -> Bool {
        ids.count == count && ids.indices.allSatisfy { self[$0] == short(ids[$0]) }
    }
}
