import Bytes
import Chain
import Crypto

/// The height up to which blocks are committed, kept beside the log (docs/storage.md, "Mark").
///
/// It distinguishes a torn write, which recovery may drop, from damage to a committed block, which it may not. It is
/// written after each append but synchronized only when the store closes. It therefore survives a killed process; after
/// a power failure it may be stale or unreadable, which only weakens the check.
struct CommitMark: Equatable {
    var firstHeight: Int64
    var lastHeight: Int64
    /// The segment of the last block.
    var segment: Int64
    /// The hash of the last block.
    var hash: Hash

    static func path(_ directory: String) -> String { directory + "/MARK" }
}

extension CommitMark: FixedRecord {
    static let size = 68
    static let magic = [UInt8]("APUSMRK1".utf8)

    init(from reader: inout ByteReader) throws(BytesError) {
        firstHeight = try reader.i64()
        lastHeight = try reader.i64()
        segment = try reader.i64()
        hash = try reader.hash()
    }

    func write(to writer: inout ByteWriter) {
        writer.put(i64: firstHeight)
        writer.put(i64: lastHeight)
        writer.put(i64: segment)
        writer.put(bytes: hash)
    }
}
