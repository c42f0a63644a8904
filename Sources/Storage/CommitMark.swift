import Bytes
import Crypto

/// How far the block log was committed, kept beside it (docs/storage.md, "Mark").
///
/// It tells a torn tail, which may be dropped, from damage to a block that was committed, which may not. It is
/// written after each append and synchronized only when the store is closed: it outlives a killed process, and after
/// a power failure it may be old or unreadable, which only weakens the check.
struct CommitMark: Equatable {
    var firstHeight: Int64
    var lastHeight: Int64
    /// The last block's segment.
    var segment: Int64
    var hash: Hash

    static let magic = [UInt8]("APUSMRK1".utf8)
    static let size = 68

    static func path(_ directory: String) -> String { directory + "/MARK" }

    func encode() -> [UInt8] {
        var writer = ByteWriter()
        writer.put(bytes: CommitMark.magic)
        writer.put(i64: firstHeight)
        writer.put(i64: lastHeight)
        writer.put(i64: segment)
        writer.put(bytes: hash)
        writer.put(u32: writer.bytes.withUnsafeBytes(CRC32C.of))
        return writer.bytes
    }

    /// Nil if these bytes are not a mark.
    init?(decoding bytes: [UInt8]) {
        let size = CommitMark.size
        guard bytes.count == size, bytes.starts(with: CommitMark.magic),
            bytes.withUnsafeBytes({ CRC32C.of(.init(rebasing: $0[..<(size - 4)])) == $0.word(size - 4) }),
            let hash = try? Hash([UInt8](bytes[32..<64]))
        else { return nil }
        func integer(_ offset: Int) -> Int64 {
            bytes.withUnsafeBytes {
                Int64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Int64.self))
            }
        }
        firstHeight = integer(8)
        lastHeight = integer(16)
        segment = integer(24)
        self.hash = hash
    }

    init(firstHeight: Int64, lastHeight: Int64, segment: Int64, hash: Hash) {
        self.firstHeight = firstHeight
        self.lastHeight = lastHeight
        self.segment = segment
        self.hash = hash
    }
}
