import Bytes
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

    static let magic = [UInt8]("APUSMRK1".utf8)
    static let size = 68

    static func path(_ directory: String) -> String { directory + "/MARK" }

    init(firstHeight: Int64, lastHeight: Int64, segment: Int64, hash: Hash) {
        self.firstHeight = firstHeight
        self.lastHeight = lastHeight
        self.segment = segment
        self.hash = hash
    }

    /// Decodes `size` bytes; nil if they are not a mark.
    init?(decoding bytes: [UInt8]) {
        guard var reader = ByteReader(record: bytes, size: CommitMark.size, magic: CommitMark.magic),
            let firstHeight = try? reader.i64(), let lastHeight = try? reader.i64(),
            let segment = try? reader.i64(), let hash = try? Hash(reader.array(Hash.count))
        else { return nil }
        self.init(firstHeight: firstHeight, lastHeight: lastHeight, segment: segment, hash: hash)
    }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: CommitMark.size)
        writer.put(bytes: CommitMark.magic)
        writer.put(i64: firstHeight)
        writer.put(i64: lastHeight)
        writer.put(i64: segment)
        writer.put(bytes: hash)
        writer.putChecksum()
        return writer.bytes
    }
}
