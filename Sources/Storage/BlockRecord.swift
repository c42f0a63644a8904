import Bytes
import Crypto

/// Layout of a block log segment: its header and the header of each record (docs/storage.md, "Block log").
///
/// All checksums of headers start from the segment's random salt. A block may hold bytes that look like a record;
/// without the salt, which never leaves the machine, they cannot have a right checksum, so a scan for records after
/// a damaged one is not led astray by what somebody else chose.
struct BlockRecord: Equatable {
    var height: Int64
    var hash: Hash
    var block: Part
    var commitInfo: Part
    var results: Part

    /// One of the three byte strings that follow the header.
    struct Part: Equatable {
        var length: Int
        var checksum: UInt32

        init(length: Int, checksum: UInt32) {
            self.length = length
            self.checksum = checksum
        }

        init(of bytes: SharedBytes) {
            length = bytes.count
            checksum = bytes.withUnsafeBytes(CRC32C.of)
        }
    }

    /// Bytes of a record's header.
    static let headerSize = 72
    /// Records start at multiples of this; zeros fill up.
    static let alignment = 8
    /// "APBR" in memory order.
    static let magic: UInt32 = 0x5242_5041
    /// Each part's bound: a block is at most 300,000,000 bytes, and a record must stay below 2^31.
    static let maxPartSize = 512 << 20

    /// Where the parts lie, from the start of the record.
    var blockRange: Range<Int> { BlockRecord.headerSize..<BlockRecord.headerSize + block.length }
    var commitInfoRange: Range<Int> { blockRange.upperBound..<blockRange.upperBound + commitInfo.length }
    var resultsRange: Range<Int> { commitInfoRange.upperBound..<commitInfoRange.upperBound + results.length }
    /// Bytes of the whole record with its padding.
    var size: Int {
        let mask = BlockRecord.alignment - 1
        return (resultsRange.upperBound + mask) & ~mask
    }

    func encode(salt: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(u32: BlockRecord.magic)
        writer.put(u32: UInt32(truncatingIfNeeded: block.length))
        writer.put(i64: height)
        writer.put(bytes: hash)
        writer.put(u32: UInt32(truncatingIfNeeded: commitInfo.length))
        writer.put(u32: UInt32(truncatingIfNeeded: results.length))
        writer.put(u32: block.checksum)
        writer.put(u32: commitInfo.checksum)
        writer.put(u32: results.checksum)
        writer.put(u32: writer.bytes.withUnsafeBytes { SegmentHeader.checksum($0, salt: salt) })
        return writer.bytes
    }

    /// Nil if these bytes are not a record's header that was written with this salt.
    init?(decoding bytes: UnsafeRawBufferPointer, salt: UInt64) {
        let size = BlockRecord.headerSize
        guard bytes.count >= size, bytes.word(0) == BlockRecord.magic,
            bytes.word(size - 4) == SegmentHeader.checksum(.init(rebasing: bytes[..<(size - 4)]), salt: salt),
            let hash = try? Hash([UInt8](bytes[16..<48]))
        else { return nil }
        height = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self))
        self.hash = hash
        block = Part(length: Int(bytes.word(4)), checksum: bytes.word(56))
        commitInfo = Part(length: Int(bytes.word(48)), checksum: bytes.word(60))
        results = Part(length: Int(bytes.word(52)), checksum: bytes.word(64))
        for part in [block, commitInfo, results] where part.length > BlockRecord.maxPartSize { return nil }
    }

    init(height: Int64, hash: Hash, block: Part, commitInfo: Part, results: Part) {
        self.height = height
        self.hash = hash
        self.block = block
        self.commitInfo = commitInfo
        self.results = results
    }
}

/// First bytes of a segment.
struct SegmentHeader: Equatable {
    var firstHeight: Int64
    var salt: UInt64

    static let size = 32
    /// Name and version of the format.
    static let magic = [UInt8]("APUSBLK1".utf8)

    func encode() -> [UInt8] {
        var writer = ByteWriter()
        writer.put(bytes: SegmentHeader.magic)
        writer.put(i64: firstHeight)
        writer.put(u64: salt)
        writer.put(u32: 0)
        writer.put(u32: writer.bytes.withUnsafeBytes(CRC32C.of))
        return writer.bytes
    }

    /// Nil if these bytes are not a segment's header.
    init?(decoding bytes: UnsafeRawBufferPointer) {
        let size = SegmentHeader.size
        guard bytes.count >= size, bytes[..<8].elementsEqual(SegmentHeader.magic),
            bytes.word(size - 4) == CRC32C.of(.init(rebasing: bytes[..<(size - 4)]))
        else { return nil }
        firstHeight = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self))
        salt = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
    }

    init(firstHeight: Int64, salt: UInt64) {
        self.firstHeight = firstHeight
        self.salt = salt
    }

    /// CRC-32C over the salt and the bytes.
    static func checksum(_ bytes: UnsafeRawBufferPointer, salt: UInt64) -> UInt32 {
        var checksum = CRC32C()
        withUnsafeBytes(of: salt.littleEndian) { checksum.update($0) }
        checksum.update(bytes)
        return checksum.value
    }
}

extension UnsafeRawBufferPointer {
    /// The u32 at `offset`, which must lie within.
    func word(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
}
