import Bytes

/// Where the buckets of a run end, and their checksums.
struct IndexFences: Sendable {
    /// For each bucket the number of entries up to its end.
    private var ends: [UInt32] = []
    private var checksums: [UInt32] = []

    init(capacity: Int) {
        ends.reserveCapacity(capacity)
        checksums.reserveCapacity(capacity)
    }

    /// The number of buckets.
    var count: Int { ends.count }

    /// Adds the next bucket.
    mutating func append(end: Int, checksum: UInt32) {
        ends.append(UInt32(truncatingIfNeeded: end))
        checksums.append(checksum)
    }

    /// Returns the positions of a bucket's entries.
    func range(_ bucket: Int) -> Range<Int> {
        (bucket == 0 ? 0 : Int(ends[bucket - 1]))..<Int(ends[bucket])
    }

    func checksum(_ bucket: Int) -> UInt32 { checksums[bucket] }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: count * IndexRunHeader.fenceSize)
        for (end, checksum) in zip(ends, checksums) {
            writer.put(u32: end)
            writer.put(u32: checksum)
        }
        return writer.bytes
    }

    /// Decodes the fences of so many entries; nil if they do not ascend to that number.
    init?(decoding bytes: [UInt8], entries: Int) {
        self.init(capacity: bytes.count / IndexRunHeader.fenceSize)
        var last: UInt32 = 0
        let ascends = bytes.withUnsafeBytes { bytes in
            for start in stride(from: 0, to: bytes.count, by: IndexRunHeader.fenceSize) {
                let end = bytes.word(start)
                guard end >= last else { return false }
                last = end
                append(end: Int(end), checksum: bytes.word(start + 4))
            }
            return true
        }
        guard ascends, last == entries else { return nil }
    }
}
