import Bytes
import Chain
import Crypto

/// The length and checksum of the index file of a cleanly closed store (docs/storage.md, "Index").
///
/// LMDB has no checksums, follows whatever pointers its pages hold, and runs here without synchronizing. The store
/// therefore opens its file only if every byte still matches the seal; otherwise it rebuilds the index from the log.
struct IndexSeal: Equatable {
    /// The length and CRC-32C of LMDB's file.
    var length: Int
    var checksum: UInt32
    /// The last block in the index; 0 and zeros if there is none.
    var lastHeight: Int64
    var lastHash: Hash

    static func path(_ directory: String) -> String { directory + "/SEAL" }

    /// Reads all of LMDB's file to compute its length and checksum.
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

    /// Reads the seal of the index in `directory`; nil if it is missing or damaged.
    static func read(_ directory: String, disk: any Disk) throws(StorageError) -> IndexSeal? {
        try AtomicFile.read(path(directory), limit: size + 1, disk: disk).flatMap(IndexSeal.init(decoding:))
    }

    /// Seals an index that has been synchronized and no longer changes.
    static func write(for index: BlockIndex, tip: BlockTip?, disk: any Disk) throws(StorageError) {
        let seal = try IndexSeal(
            measuring: index.directory, lastHeight: tip?.height ?? 0, lastHash: tip?.hash ?? .zero,
            disk: disk)
        try AtomicFile.write(seal.encode(), to: path(index.directory), disk: disk)
    }
}

extension IndexSeal: FixedRecord {
    static let size = 64
    static let magic = [UInt8]("APUSSEA1".utf8)

    init(from reader: inout ByteReader) throws(BytesError) {
        length = Int(try reader.i64())
        checksum = try reader.u32()
        lastHeight = try reader.i64()
        lastHash = try reader.hash()
    }

    func write(to writer: inout ByteWriter) {
        writer.put(i64: Int64(length))
        writer.put(u32: checksum)
        writer.put(i64: lastHeight)
        writer.put(bytes: lastHash)
    }
}
