import Bytes
import CShims

/// The last block that the validator acknowledged, kept beside its votes (docs/storage.md, "Vote log"). A leader that
/// lost its state may have to fetch it from this node, even after this node restarts.
///
/// The file is not synchronized: it survives a killed process, but after a power failure it may be torn or older than
/// the vote. Readers must compare the block's hash with the vote's.
extension VoteLog {
    /// The size of the length that precedes the block, in bytes.
    private static let headBytes = 8

    /// Replaces the kept block. Call it on the storage worker before recording the vote.
    public func keep(_ block: SharedBytes) throws(StorageError) {
        assert(apus_may_block(), "a block is kept on a thread that may not wait")
        let file = try disk.open(blockPath, .createIfMissing)
        var head = ByteWriter(capacity: Self.headBytes)
        head.put(u64: UInt64(block.count))
        try file.truncate(to: 0)
        try file.write(head.bytes, at: 0)
        try block.withUnsafeBytes { (body) throws(StorageError) in
            try file.write([body], at: Self.headBytes)
        }
    }

    /// Returns the kept block; nil if there is none or it is incomplete.
    public func keptBlock() throws(StorageError) -> SharedBytes? {
        assert(apus_may_block(), "a block is read on a thread that may not wait")
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
