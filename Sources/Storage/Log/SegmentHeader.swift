import Bytes

/// The first bytes of a block log segment (docs/storage.md, "Block log").
struct SegmentHeader: Equatable {
    var firstHeight: Int64
    var salt: UInt64

    static let size = 32
    /// The name and version of the format.
    static let magic = [UInt8]("APUSBLK1".utf8)

    init(firstHeight: Int64, salt: UInt64) {
        self.firstHeight = firstHeight
        self.salt = salt
    }

    /// Decodes `size` bytes; nil if they are not a segment's header.
    init?(decoding bytes: [UInt8]) {
        guard var reader = ByteReader(record: bytes, size: SegmentHeader.size, magic: SegmentHeader.magic),
            let firstHeight = try? reader.i64(), let salt = try? reader.u64()
        else { return nil }
        self.init(firstHeight: firstHeight, salt: salt)
    }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: SegmentHeader.size)
        writer.put(bytes: SegmentHeader.magic)
        writer.put(i64: firstHeight)
        writer.put(u64: salt)
        writer.put(u32: 0)
        writer.putChecksum()
        return writer.bytes
    }
}
