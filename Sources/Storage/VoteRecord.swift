import Bytes
import Chain
import Crypto

/// A vote in its place in the vote log: one of the two copies of a slot (docs/storage.md, "Vote log").
struct VoteRecord: Equatable {
    /// Counts all votes ever recorded, from 1.
    var sequence: UInt64
    var vote: Vote

    static let size = 128
    static let magic: UInt32 = 0x4f56_5041

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: VoteRecord.size)
        writer.put(u32: VoteRecord.magic)
        var appHash = Hash.zero
        if case .ack(let hash) = vote.decision {
            writer.put(u32: 1)
            appHash = hash
        } else {
            writer.put(u32: 0)
        }
        writer.put(u64: sequence)
        writer.put(i64: vote.height)
        writer.put(i64: vote.stamp)
        writer.put(bytes: vote.blockHash)
        writer.put(bytes: appHash)
        writer.put(bytes: [UInt8](repeating: 0, count: VoteRecord.size - 4 - writer.bytes.count))
        writer.put(u32: writer.bytes.withUnsafeBytes(CRC32C.of))
        return writer.bytes
    }

    /// Nil if these bytes, `size` of them, are not a record.
    init?(decoding bytes: [UInt8]) {
        let size = VoteRecord.size
        guard bytes.count == size,
            bytes.withUnsafeBytes({
                $0.word(0) == VoteRecord.magic
                    && CRC32C.of(.init(rebasing: $0[..<(size - 4)])) == $0.word(size - 4)
            })
        else { return nil }
        var reader = ByteReader(bytes)
        guard (try? reader.u32()) != nil, let decision = try? reader.u32(), decision <= 1,
            let sequence = try? reader.u64(), let height = try? reader.i64(), let stamp = try? reader.i64(),
            let blockHash = try? Hash(reader.array(Hash.count)),
            let appHash = try? Hash(reader.array(Hash.count))
        else { return nil }
        self.sequence = sequence
        vote = Vote(
            height: height, stamp: stamp, blockHash: blockHash,
            decision: decision == 1 ? .ack(appHash: appHash) : .nack)
    }

    init(sequence: UInt64, vote: Vote) {
        self.sequence = sequence
        self.vote = vote
    }
}
