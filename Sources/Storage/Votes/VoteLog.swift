import CShims
import Chain
import Synchronization

/// A validator's record of its votes, which keeps it from contradicting itself even after a crash (docs/storage.md,
/// "Vote log").
///
/// One file of fixed size: a ring of slots, each with two copies of one vote. A recorded vote survives a killed process
/// and a damaged byte; a torn write leaves a vote that was never sent. Safe on any thread; `record` waits for an fsync,
/// so call it on the storage worker.
public final class VoteLog: Sendable {
    private let file: any DiskFile
    let blockPath: String
    let disk: any Disk
    /// The stamps that the node may have used as a leader.
    public let stamps: StampReserve
    private let state: Mutex<State>

    private struct State {
        var votes: [VoteRecord]
        var nextSequence: UInt64
    }

    /// The number of votes kept. Only the last one constrains the next; the others help to investigate a dispute.
    private static let slots = 16
    private static let slotSize = 2 * VoteRecord.size

    /// Opens or creates the file `VOTES` in an existing directory, which the node must have locked by opening its
    /// `BlockStore`.
    package init(directory: String, disk: any Disk = SystemDisk.shared) throws(StorageError) {
        let path = directory + "/VOTES"
        blockPath = directory + "/VOTED"
        self.disk = disk
        stamps = try StampReserve(directory: directory, disk: disk)
        let size = VoteLog.slots * VoteLog.slotSize
        if !disk.exists(path) {
            try AtomicFile.write([UInt8](repeating: 0, count: size), to: path, disk: disk)
        }
        file = try disk.open(path, .readWrite)
        // A killed process may have left the file or a vote in the page cache only. The node is about to rely on what
        // it reads, so make it durable first.
        try disk.synchronizeDirectory(directory)
        try file.synchronize()
        let votes = try VoteLog.votes(in: try file.read(at: 0, count: size + 1), path: path)
        state = Mutex(State(votes: votes, nextSequence: (votes.last?.sequence ?? 0) &+ 1))
    }

    /// Decodes the content of the file, oldest vote first.
    private static func votes(in bytes: [UInt8], path: String) throws(StorageError) -> [VoteRecord] {
        guard bytes.count == slots * slotSize else {
            throw .corrupted(
                path: path, offset: bytes.count, "a vote log has \(slots * slotSize) bytes")
        }
        var votes: [VoteRecord] = []
        for slot in 0..<slots {
            let start = slot * slotSize
            let copies = [start, start + VoteRecord.size].map {
                VoteRecord(decoding: [UInt8](bytes[$0..<$0 + VoteRecord.size]))
            }
            // One valid copy is enough. If a torn write left two different ones, the newer vote may have been sent.
            let newest = copies.compactMap { $0 }.max { $0.sequence < $1.sequence }
            if let newest {
                guard newest.sequence % UInt64(slots) == UInt64(slot) else {
                    throw .corrupted(path: path, offset: start, "a vote is in the wrong slot")
                }
                votes.append(newest)
            } else if bytes[start..<start + slotSize].contains(where: { $0 != 0 }) {
                throw .corrupted(path: path, offset: start, "neither copy of a vote matches its checksum")
            }
        }
        votes.sort { $0.sequence < $1.sequence }
        // A gap in the sequence numbers means that a slot was zeroed and its vote lost.
        for (older, newer) in zip(votes, votes.dropFirst()) where newer.sequence != older.sequence &+ 1 {
            let slot = Int((older.sequence &+ 1) % UInt64(slots))
            throw .corrupted(path: path, offset: slot * slotSize, "a vote is missing")
        }
        return votes
    }

    /// The newest vote.
    public var last: Vote? { state.withLock { $0.votes.last?.vote } }

    /// The last 16 votes, oldest first.
    public var votes: [Vote] { state.withLock { $0.votes.map(\.vote) } }

    /// Makes a vote durable before it is sent. Throws `voteRefused` if it contradicts the last one:
    ///
    /// * a lower height;
    /// * another block at the same height, without a newer stamp (a leader proposes another block at a height only with
    ///   a newer stamp);
    /// * the same block with another app hash, a NACK after an ACK, or an ACK after a NACK without a newer stamp.
    ///
    /// Recording the last vote again does nothing, except that a newer stamp replaces its stamp. After an error the log
    /// is unchanged.
    public func record(_ vote: Vote) throws(StorageError) {
        assert(apus_may_block(), "a vote is recorded on a thread that may not wait")
        try state.withLock { state throws(StorageError) in
            var vote = vote
            if let last = state.votes.last?.vote {
                try VoteLog.check(vote, after: last)
                if vote.height == last.height, vote.blockHash == last.blockHash {
                    vote.stamp = max(vote.stamp, last.stamp)
                }
                if vote == last { return }
            }
            let record = VoteRecord(sequence: state.nextSequence, vote: vote)
            let slot = Int(record.sequence % UInt64(VoteLog.slots))
            let copy = record.encode()
            let offset = slot * VoteLog.slotSize
            do throws(StorageError) {
                try file.write(copy + copy, at: offset)
                try file.synchronize()
            } catch {
                // Restore the slot, or the next start would take the vote for sent. If that fails too, the next start
                // is only stricter than necessary.
                let held = state.votes.first { Int($0.sequence % UInt64(VoteLog.slots)) == slot }?.encode()
                let old = held.map { $0 + $0 } ?? [UInt8](repeating: 0, count: VoteLog.slotSize)
                try? file.write(old, at: offset)
                try? file.synchronize()
                throw error
            }
            state.nextSequence &+= 1
            state.votes.append(record)
            if state.votes.count > VoteLog.slots { state.votes.removeFirst() }
        }
    }

    private static func check(_ vote: Vote, after last: Vote) throws(StorageError) {
        func refuse(_ why: String) -> StorageError { .voteRefused("(\(vote)): \(why) (\(last))") }
        if vote.height < last.height { throw refuse("the last vote is for a later height") }
        guard vote.height == last.height else { return }
        if vote.blockHash != last.blockHash {
            if vote.stamp <= last.stamp {
                throw refuse("its stamp is not newer than that of the vote for another block")
            }
            return
        }
        if case .ack = last.decision, vote.decision != last.decision {
            throw refuse("it contradicts the ACK of this block")
        }
        if last.decision == .nack, vote.decision != .nack, vote.stamp <= last.stamp {
            throw refuse("its stamp is not newer than that of the NACK of this block")
        }
    }
}
