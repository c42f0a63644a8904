import Bytes

/// The first bytes of a block log segment (docs/storage.md, "Block log").
struct SegmentHeader: Equatable {
    var firstHeight: Int64
    var salt: UInt64
}

extension SegmentHeader: FixedRecord {
    static let size = 32
    static let magic = [UInt8]("APUSBLK1".utf8)

    init(from reader: inout ByteReader) throws(BytesError) {
        firstHeight = try reader.i64()
        salt = try reader.u64()
    }

    func write(to writer: inout ByteWriter) {
        writer.put(i64: firstHeight)
        writer.put(u64: salt)
    }
}
