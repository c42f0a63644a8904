import Bytes
import Crypto

/// A block as its sender announces it by `/apus/blkprop/1.0.0` (docs/wire.md, section 8): made once, for all peers.
///
/// Immutable; may be read from any thread.
public struct CompactBlock: Sendable {
    /// The maximum size of the transactions that are sent unasked, with their places and lengths, in bytes. What does not fit
    /// costs a round trip, and what the peer has already is lost.
    public static let prefilledBytes = 64 << 10

    /// The block.
    public let block: Block
    /// The IDs of its transactions.
    public let transactionIDs: [Hash]
    /// The short IDs of its transactions.
    public let shortIDs: ShortIDs
    /// Where each transaction begins in the block's bytes, with its length, and where the last one ends.
    private let offsets: [Int]

    /// Computes the short IDs of a block: call it on a worker.
    public init(_ hashed: HashedBlock) {
        block = hashed.block
        transactionIDs = hashed.transactionIDs
        shortIDs = ShortIDs(of: hashed.transactionIDs, in: block.hash)
        var offset = block.bytes.count - block.transactions.reduce(0) { $0 + Self.prefixed($1.count) }
        var offsets = [offset]
        offsets.reserveCapacity(block.transactions.count + 1)
        for transaction in block.transactions {
            offset += Self.prefixed(transaction.count)
            offsets.append(offset)
        }
        self.offsets = offsets
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

    /// The end of the message: the transactions at these places, which ascend, as far as they fit.
    public func prefilled(_ places: some Sequence<Int>) -> [UInt8] {
        var section = ByteWriter()
        var next = 0
        for place in places {
            let transaction = block.transactions[place]
            var entry = ByteWriter()
            entry.put(uvarint: UInt64(place - next))
            let size = entry.bytes.count + Self.prefixed(transaction.count)
            guard section.bytes.count + size <= Self.prefilledBytes else { continue }
            section.put(bytes: entry.bytes)
            section.put(lengthPrefixed: transaction)
            next = place + 1
        }
        var writer = ByteWriter(capacity: 4 + section.bytes.count)
        writer.put(u32: UInt32(clamping: section.bytes.count))
        writer.put(bytes: section.bytes)
        return writer.bytes
    }

    /// The places in `request`, a bitmap of a peer's, as ranges of the block's bytes that contain those transactions with their
    /// lengths, in order. Throws if the bitmap names no transaction, or one that the block does not have.
    public func ranges(_ request: [UInt8]) throws(ChainError) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        for place in 0..<request.count * 8 where request[place / 8] & (1 &<< (place % 8)) != 0 {
            guard place < block.transactions.count else {
                throw .malformed("request for transactions", .invalid("places in the block"))
            }
            if let last = ranges.last, last.upperBound == offsets[place] {
                ranges[ranges.count - 1] = last.lowerBound..<offsets[place + 1]
            } else {
                ranges.append(offsets[place]..<offsets[place + 1])
            }
        }
        guard !ranges.isEmpty else {
            throw .malformed("request for transactions", .invalid("places in the block"))
        }
        return ranges
    }

    /// The size of a request for transactions of a block, in bytes.
    public static func requestBytes(_ transactions: Int) -> Int { (transactions + 7) / 8 }
}
