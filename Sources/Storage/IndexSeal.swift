import Bytes
import Crypto

/// Vouches for the index file of a store that was closed in good order (docs/storage.md, "Index").
///
/// LMDB has no checksums, follows whatever pointers its pages hold, and is used here without synchronizing. So its
/// file is opened only if it still is, byte for byte, what was closed; else it is made again from the log.
struct IndexSeal: Equatable {
    /// Length and CRC-32C of LMDB's file.
    var length: Int
    var checksum: UInt32
    /// The last block in the index; 0 and zeros for none.
    var lastHeight: Int64
    var lastHash: Hash

    static let magic = [UInt8]("APUSSEA1".utf8)
    static let size = 64

    static func path(_ directory: String) -> String { directory + "/SEAL" }

    /// Reads LMDB's file once, and takes its length and checksum.
    init(measuring directory: String, lastHeight: Int64, lastHash: Hash, disk: any Disk) throws(StorageError)
    {
        let file = try disk.open(LMDBIndex.dataPath(directory), .read)
        var checksum = CRC32C()
        var length = 0
        while true {
            let chunk = try file.read(at: length, count: IndexSeal.chunkSize)
            chunk.withUnsafeBytes { checksum.update($0) }
            length += chunk.count
            if chunk.count < IndexSeal.chunkSize { break }
        }
        self.length = length
        self.checksum = checksum.value
        self.lastHeight = lastHeight
        self.lastHash = lastHash
    }

    private static let chunkSize = 1 << 20

    func encode() -> [UInt8] {
        var writer = ByteWriter()
        writer.put(bytes: IndexSeal.magic)
        writer.put(i64: Int64(length))
        writer.put(u32: checksum)
        writer.put(i64: lastHeight)
        writer.put(bytes: lastHash)
        writer.put(u32: writer.bytes.withUnsafeBytes(CRC32C.of))
        return writer.bytes
    }

    /// Nil if these bytes are not a seal.
    init?(decoding bytes: [UInt8]) {
        guard bytes.count == IndexSeal.size, bytes.starts(with: IndexSeal.magic) else { return nil }
        let size = IndexSeal.size
        guard
            bytes.withUnsafeBytes({ CRC32C.of(.init(rebasing: $0[..<(size - 4)])) == $0.word(size - 4) }),
            let hash = try? Hash([UInt8](bytes[28..<60]))
        else { return nil }
        (length, checksum, lastHeight) = bytes.withUnsafeBytes {
            (
                Int(Int64(littleEndian: $0.loadUnaligned(fromByteOffset: 8, as: Int64.self))), $0.word(16),
                Int64(littleEndian: $0.loadUnaligned(fromByteOffset: 20, as: Int64.self))
            )
        }
        lastHash = hash
    }
}
