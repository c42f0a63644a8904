import Bytes
import Crypto

/// The start of a run's file (docs/storage.md, "Index"), which determines where its parts are.
struct IndexRunHeader: Equatable {
    /// The heights of the first and last block.
    var firstHeight: Int64
    var lastHeight: Int64
    /// The number of blocks and transactions.
    var count: Int
    /// The number of buckets into which the entries are divided.
    var buckets: Int
    /// The checksum of the fences.
    var checksum: UInt32

    /// The maximum number of blocks and of entries: fences have 32 bits.
    static let maxCount = Int(UInt32.max)
    /// The size of a block's position, in bytes.
    static let locationSize = 52
    /// The size of a fence, in bytes.
    static let fenceSize = 8
    /// The usual number of entries in a bucket, which a lookup reads and checks: 3 KiB, which takes about a microsecond.
    private static let bucketEntries = 48
    /// The maximum number of buckets: fences are in memory, here 8 MiB. Beyond 50 million entries, buckets grow.
    private static let maxBuckets = 1 << 20

    /// Returns the number of buckets for so many entries.
    static func buckets(for count: Int) -> Int { min(max(1, count / bucketEntries), maxBuckets) }

    var heights: ClosedRange<Int64> { firstHeight...lastHeight }
    /// The number of blocks.
    var blocks: Int { Int(lastHeight - firstHeight) + 1 }
    /// The offset of the entries in the file.
    var entriesOffset: Int { IndexRunHeader.size + blocks * IndexRunHeader.locationSize }
    /// The offset of the fences.
    var fencesOffset: Int { entriesOffset + count * IndexEntry.size }
    /// The length of the file.
    var length: Int { fencesOffset + buckets * IndexRunHeader.fenceSize }
}

extension IndexRunHeader: FixedRecord {
    static let size = 64
    static let magic = [UInt8]("APUSRUN1".utf8)

    init(from reader: inout ByteReader) throws(BytesError) {
        firstHeight = try reader.i64()
        lastHeight = try reader.i64()
        count = Int(try reader.u32())
        buckets = Int(try reader.u32())
        checksum = try reader.u32()
        guard firstHeight > 0, lastHeight >= firstHeight, buckets > 0, buckets <= IndexRunHeader.maxBuckets,
            lastHeight - firstHeight < Int64(IndexRunHeader.maxCount)
        else { throw .invalid("a run's header") }
    }

    func write(to writer: inout ByteWriter) {
        writer.put(i64: firstHeight)
        writer.put(i64: lastHeight)
        writer.put(u32: UInt32(truncatingIfNeeded: count))
        writer.put(u32: UInt32(truncatingIfNeeded: buckets))
        writer.put(u32: checksum)
    }
}
