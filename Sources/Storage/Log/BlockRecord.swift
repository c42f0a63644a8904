import Bytes
import Crypto

/// The header of a record in the block log (docs/storage.md, "Block log").
///
/// Its checksum starts from the segment's random salt, which never leaves the machine. Others choose the content of
/// blocks, so a block may contain bytes that look like a record. Without the salt those bytes cannot carry a valid
/// checksum, so they cannot mislead a scan for records after a damaged one.
struct BlockRecord: Equatable {
    var height: Int64
    var hash: Hash
    var block: Part
    var commitInfo: Part
    var results: Part
    /// Whether the record was written together with the one before it, and made durable by the same fsync.
    var isContinuation = false

    /// One of the three byte strings that follow the header.
    struct Part: Equatable {
        var length: Int
        var checksum: UInt32
    }

    /// The size of the header, in bytes.
    static let headerSize = 72
    /// Records start at multiples of this many bytes; zeros pad them.
    static let alignment = 8
    /// "APBR" in memory order: the first record of an append.
    static let magic: UInt32 = 0x5242_5041
    /// "APBC" in memory order: a further record of an append.
    static let continuationMagic: UInt32 = 0x4342_5041
    /// The maximum size of a part. A block has at most 300,000,000 bytes, and a record must stay below 2^31.
    static let maxPartSize = 512 << 20

    /// The ranges of the parts, relative to the start of the record.
    var blockRange: Range<Int> { BlockRecord.headerSize..<BlockRecord.headerSize + block.length }
    var commitInfoRange: Range<Int> { blockRange.upperBound..<blockRange.upperBound + commitInfo.length }
    var resultsRange: Range<Int> { commitInfoRange.upperBound..<commitInfoRange.upperBound + results.length }
    /// The size of the whole record including padding, in bytes.
    var size: Int {
        let mask = BlockRecord.alignment - 1
        return (resultsRange.upperBound + mask) & ~mask
    }

    func encode(salt: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(u32: isContinuation ? BlockRecord.continuationMagic : BlockRecord.magic)
        writer.put(u32: UInt32(truncatingIfNeeded: block.length))
        writer.put(i64: height)
        writer.put(bytes: hash)
        writer.put(u32: UInt32(truncatingIfNeeded: commitInfo.length))
        writer.put(u32: UInt32(truncatingIfNeeded: results.length))
        writer.put(u32: block.checksum)
        writer.put(u32: commitInfo.checksum)
        writer.put(u32: results.checksum)
        writer.put(u32: writer.bytes.withUnsafeBytes { BlockRecord.checksum($0, salt: salt) })
        return writer.bytes
    }

    /// Returns the CRC-32C of the salt and the bytes.
    private static func checksum(_ bytes: UnsafeRawBufferPointer, salt: UInt64) -> UInt32 {
        var checksum = CRC32C()
        withUnsafeBytes(of: salt.littleEndian) { checksum.update($0) }
        checksum.update(bytes)
        return checksum.value
    }
}

extension BlockRecord {
    /// Decodes a header at the start of `bytes`; nil if there is none that was written with this salt.
    init?(decoding bytes: UnsafeRawBufferPointer, salt: UInt64) {
        let size = BlockRecord.headerSize
        guard bytes.count >= size,
            [BlockRecord.magic, BlockRecord.continuationMagic].contains(bytes.word(0)),
            bytes.word(size - 4) == BlockRecord.checksum(.init(rebasing: bytes[..<(size - 4)]), salt: salt),
            let hash = try? Hash([UInt8](bytes[16..<48]))
        else { return nil }
        isContinuation = bytes.word(0) == BlockRecord.continuationMagic
        height = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self))
        self.hash = hash
        block = Part(length: Int(bytes.word(4)), checksum: bytes.word(56))
        commitInfo = Part(length: Int(bytes.word(48)), checksum: bytes.word(60))
        results = Part(length: Int(bytes.word(52)), checksum: bytes.word(64))
        for part in [block, commitInfo, results] where part.length > BlockRecord.maxPartSize { return nil }
    }

    /// Returns the parts of a whole record; nil if one does not match its checksum.
    func parts(of record: SharedBytes) -> (block: SharedBytes, commitInfo: SharedBytes, results: SharedBytes)?
    {
        let parts = (record.slice(blockRange), record.slice(commitInfoRange), record.slice(resultsRange))
        guard Part(of: parts.0) == block, Part(of: parts.1) == commitInfo, Part(of: parts.2) == results
        else { return nil }
        return parts
    }
}

extension BlockRecord.Part {
    init(of bytes: SharedBytes) {
        self.init(length: bytes.count, checksum: bytes.withUnsafeBytes(CRC32C.of))
    }
}
