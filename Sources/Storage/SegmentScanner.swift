import Bytes
import Chain
import Crypto

/// Walks the records of one segment's bytes and checks all that can be checked: checksums, padding, heights, the
/// block's hash, and its link to the block before.
struct SegmentScanner {
    let header: SegmentHeader
    private let bytes: SharedBytes
    /// Where the next record starts.
    private(set) var offset = SegmentHeader.size
    /// The last block seen, in this segment or the one before.
    private(set) var last: (height: Int64, hash: Hash)?

    /// What a step found.
    enum Step {
        case record(BlockRecord, Block, offset: Int)
        /// The segment ends here, after a whole record or its header.
        case end
        /// The bytes from `offset` on are no whole record; the text says why. Such is a record whose writing was
        /// interrupted.
        case damaged(String)
        /// The record at `offset` was written whole, but cannot follow; the text says why.
        case impossible(String)
    }

    init(header: SegmentHeader, bytes: SharedBytes, after last: (height: Int64, hash: Hash)?) {
        self.header = header
        self.bytes = bytes
        self.last = last
    }

    mutating func next() -> Step {
        let rest = bytes.count - offset
        if rest == 0 { return .end }
        guard rest >= BlockRecord.headerSize else { return .damaged("a block's header is cut off") }
        let start = offset
        let headerBytes = bytes.slice(start..<start + BlockRecord.headerSize)
        guard let record = headerBytes.withUnsafeBytes({ BlockRecord(decoding: $0, salt: header.salt) })
        else {
            return .damaged("a block's header does not match its checksum")
        }
        guard record.height == (last.map { $0.height &+ 1 } ?? header.firstHeight) else {
            return .impossible("block \(record.height) does not follow block \(last?.height ?? 0)")
        }
        guard rest >= record.size else { return .damaged("block \(record.height) is cut off") }
        let whole = bytes.slice(start..<start + record.size)
        let parts = [(record.blockRange, record.block), (record.commitInfoRange, record.commitInfo)]
        for (range, expected) in parts + [(record.resultsRange, record.results)]
        where BlockRecord.Part(of: whole.slice(range)) != expected {
            return .damaged("block \(record.height) does not match its checksum")
        }
        let padding = whole.slice(record.resultsRange.upperBound..<record.size)
        guard padding.withUnsafeBytes({ $0.allSatisfy { $0 == 0 } }) else {
            return .impossible("the padding of block \(record.height) is not zero")
        }
        guard let block = try? Block(decoding: whole.slice(record.blockRange)), block.hash == record.hash,
            block.height == record.height
        else { return .impossible("block \(record.height) is not the block that its record names") }
        if let last, block.header.previousHash != last.hash {
            return .impossible("the block before block \(record.height) is another one")
        }
        offset = start + record.size
        last = (record.height, record.hash)
        return .record(record, block, offset: start)
    }

    /// Where a record's header that this segment's writer wrote starts behind `offset`: a sign that what lies at
    /// `offset` was once whole, since the next record is begun only after that.
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
