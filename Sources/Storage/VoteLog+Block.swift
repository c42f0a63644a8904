import Bytes
import CShims

/// The block that was agreed to last, kept beside the votes (docs/storage.md, "Vote log"): a leader that lost its memory
/// may have to ask for it, also after this node was restarted.
///
/// It is not waited for to be on the device: it outlives the process, but after a power failure it may be cut short or
/// older than the vote. Whoever reads it compares its hash with the vote's.
extension VoteLog {
    /// Bytes before the block: its length.
    private static let headBytes = 8

    /// Keeps a block in place of the one before. On the storage worker, before the vote is recorded.
    public func keep(_ block: SharedBytes) throws(StorageError) {
        assert(apus_may_block(), "a block is kept on a reactor's thread")
        let file = try disk.open(blockPath, .createIfMissing)
        var head = ByteWriter(capacity: Self.headBytes)
        head.put(u64: UInt64(block.count))
        try file.truncate(to: 0)
        try file.write(head.bytes, at: 0)
        try block.withUnsafeBytes { (body) throws(StorageError) in
            try file.write([body], at: Self.headBytes)
        }
    }

    /// The block that was kept last, if all of it is there.
    public func keptBlock() throws(StorageError) -> SharedBytes? {
        assert(apus_may_block(), "a block is read on a reactor's thread")
        guard disk.exists(blockPath) else { return nil }
        let file = try disk.open(blockPath, .read)
        let length = try file.length()
        guard length > Self.headBytes else { return nil }
        let bytes = SharedBytes(try file.read(at: 0, count: length))
        var reader = ByteReader(bytes)
        guard let count = try? reader.u64(), count == UInt64(length - Self.headBytes) else { return nil }
        return bytes.slice(Self.headBytes..<length)
    }
}
