import Bytes
import Chain
import Crypto

/// One of the two copies of a vote in a slot of the vote log (docs/storage.md, "Vote log").
struct VoteRecord: Equatable {
    /// The number of the vote among all ever recorded, from 1.
    var sequence: UInt64
    var vote: Vote
}

extension VoteRecord: FixedRecord {
    static let size = 128
    static let magic = [UInt8]("APVO".utf8)

    init(from reader: inout ByteReader) throws(BytesError) {
        let decision = try reader.u32()
        guard decision <= 1 else { throw .invalid("a decision") }
        sequence = try reader.u64()
        let (height, stamp) = (try reader.i64(), try reader.i64())
        let (blockHash, appHash) = (try reader.hash(), try reader.hash())
        vote = Vote(
            height: height, stamp: stamp, blockHash: blockHash,
            decision: decision == 1 ? .ack(appHash: appHash) : .nack)
    }

    func write(to writer: inout ByteWriter) {
        var appHash: Hash?
        if case .ack(let hash) = vote.decision { appHash = hash }
        writer.put(u32: appHash == nil ? 0 : 1)
        writer.put(u64: sequence)
        writer.put(i64: vote.height)
        writer.put(i64: vote.stamp)
        writer.put(bytes: vote.blockHash)
        writer.put(bytes: appHash ?? .zero)
    }
}
