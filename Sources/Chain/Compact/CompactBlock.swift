import Bytes
import Crypto

/// A block as its sender announces it by `/apus/blkprop/1.0.0` (docs/wire.md, section 8): made once, for all peers.
///
/// Immutable; may be read from any thread.
public struct CompactBlock: Sendable {
    /// The maximum size of the transactions that are sent unasked, with their places and lengths, in bytes. More costs a round
    /// trip, and what the peer has already is lost.
    public static let prefilledBytes = 64 << 10

    /// The block.
    public let block: Block
    /// The IDs of its transactions.
    public let transactionIDs: [Hash]
    /// The short IDs of its transactions.
    public let shortIDs: ShortIDs

    /// Computes the short IDs of a block: call it on a worker.
    public init(_ hashed: HashedBlock) {
        block = hashed.block
        transactionIDs = hashed.transactionIDs
        shortIDs = ShortIDs(of: hashed.transactionIDs, in: block.hash)
    }

    /// The size of a transaction with its length, in bytes.
    static func prefixed(_ count: Int) -> Int {
        let bits = Int.bitWidth - count.leadingZeroBitCount
        return count + max(1, (bits + 6) / 7)
    }

    /// The beginning of the message. `isPushed` says that the rest follows unasked.
    public func head(_ proposal: BlockProposal, isPushed: Bool) -> [UInt8] {
        var writer = ByteWriter(capacity: BlockProposal.maxBytes + 256)
        writer.put(bytes: proposal.bytes)
        writer.put(u8: isPushed ? 1 : 0)
        writer.put(cbytes: block.header.bytes)
        return writer.bytes
    }

    /// The end of the message: the transactions at these places, which ascend, if they fit. Otherwise it is empty, because the
    /// peer has to request some of them anyway.
    public func prefilled(_ places: some Sequence<Int>) -> [UInt8] {
        var section = ByteWriter()
        var next = 0
        for place in places {
            let transaction = block.transactions[place]
            section.put(uvarint: UInt64(place - next))
            guard section.bytes.count + Self.prefixed(transaction.count) <= Self.prefilledBytes else {
                section = ByteWriter()
                break
            }
            section.put(lengthPrefixed: transaction)
            next = place + 1
        }
        var writer = ByteWriter(capacity: 4 + section.bytes.count)
        writer.put(u32: UInt32(clamping: section.bytes.count))
        writer.put(bytes: section.bytes)
        return writer.bytes
    }

    /// The size of these transactions, in bytes.
    public func size(of places: PlaceSet) -> Int {
        places.places.reduce(0) { $0 + block.transactions[$1].count }
    }
}
