import Bytes
import Chain
import Crypto

/// Walks the records of one segment and verifies checksums, padding, heights, block hashes, and each block's link to
/// the previous one.
struct SegmentScanner {
    let header: SegmentHeader
    private let bytes: SharedBytes
    /// The start of the next record.
    private(set) var offset: Int
    /// The last block read, in this segment or the previous one.
    private(set) var last: (height: Int64, hash: Hash)?

    /// The result of a step.
    enum Step {
        case record(BlockRecord, Block, offset: Int)
        /// The segment ends here, after a whole record or its header.
        case end
        /// The bytes from `offset` on are not a whole record, as after a torn write; with the reason.
        case damaged(String)
        /// The record at `offset` is whole but cannot follow the previous one; with the reason.
        case impossible(String)
    }

    /// Starts with the record at `offset`, which follows block `last`.
    init(
        header: SegmentHeader, bytes: SharedBytes, from offset: Int = SegmentHeader.size,
        after last: (height: Int64, hash: Hash)?
    ) {
        self.header = header
        self.bytes = bytes
        self.offset = offset
        self.last = last
    }

    mutating func next() -> Step {
        let rest = bytes.count - offset
        if rest == 0 { return .end }
        guard rest >= BlockRecord.headerSize else { return .damaged("a record header is truncated") }
        let start = offset
        let headerBytes = bytes.slice(start..<start + BlockRecord.headerSize)
        guard let record = headerBytes.withUnsafeBytes({ BlockRecord(decoding: $0, salt: header.salt) })
        else {
            return .damaged("a record header does not match its checksum")
        }
        guard record.height == (last.map { $0.height &+ 1 } ?? header.firstHeight) else {
            return .impossible("block \(record.height) does not follow block \(last?.height ?? 0)")
        }
        guard rest >= record.size else { return .damaged("block \(record.height) is truncated") }
        let whole = bytes.slice(start..<start + record.size)
        guard let parts = record.parts(of: whole) else {
            return .damaged("block \(record.height) does not match its checksum")
        }
        let padding = whole.slice(record.resultsRange.upperBound..<record.size)
        guard padding.withUnsafeBytes({ $0.allSatisfy { $0 == 0 } }) else {
            return .impossible("the padding of block \(record.height) is not zero")
        }
        guard let block = try? Block(decoding: parts.block), block.hash == record.hash,
            block.height == record.height
        else { return .impossible("block \(record.height) does not match its record header") }
        if let last, block.header.previousHash != last.hash {
            return .impossible("block \(record.height) does not link to block \(last.height)")
        }
        offset = start + record.size
        last = (record.height, record.hash)
        return .record(record, block, offset: start)
    }

    /// Returns the offset of a valid header of an append's first record past `offset`, if there is one. It proves that the
    /// record at `offset` was once whole, because an append only begins after the previous one is durable.
    func laterRecord() -> Int? {
        var candidate = offset + BlockRecord.alignment
        return bytes.withUnsafeBytes { bytes in
            while candidate + BlockRecord.headerSize <= bytes.count {
                if bytes.word(candidate) == BlockRecord.magic {
                    let header = UnsafeRawBufferPointer(rebasing: bytes[candidate...])
                    if BlockRecord(decoding: header, salt: self.header.salt) != nil { return candidate }
                }
                candidate += BlockRecord.alignment
            }
            return nil
        }
    }
}
