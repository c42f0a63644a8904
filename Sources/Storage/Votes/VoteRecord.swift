import Bytes
import Chain
import Crypto

/// One of the two copies of a vote in a slot of the vote log (docs/storage.md, "Vote log").
struct VoteRecord: Equatable {
    /// The number of the vote among all ever recorded, from 1.
    var sequence: UInt64
    var vote: Vote

    static let size = 128
    static let magic = [UInt8]("APVO".utf8)

    init(sequence: UInt64, vote: Vote) {
        self.sequence = sequence
        self.vote = vote
    }

    /// Decodes `size` bytes; nil if they are not a record.
    init?(decoding bytes: [UInt8]) {
        guard var reader = ByteReader(record: bytes, size: VoteRecord.size, magic: VoteRecord.magic),
            let decision = try? reader.u32(), decision <= 1, let sequence = try? reader.u64(),
            let height = try? reader.i64(), let stamp = try? reader.i64(),
            let blockHash = try? Hash(reader.array(Hash.count)),
            let appHash = try? Hash(reader.array(Hash.count))
        else { return nil }
        self.sequence = sequence
        vote = Vote(
            height: height, stamp: stamp, blockHash: blockHash,
            decision: decision == 1 ? .ack(appHash: appHash) : .nack)
    }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: VoteRecord.size)
        writer.put(bytes: VoteRecord.magic)
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
        writer.putChecksum()
        return writer.bytes
    }
}
