import CShims
import Chain
import Synchronization

/// A validator's memory of its votes, so that it never gives two that contradict each other, also across a crash.
///
/// One file of fixed size (docs/storage.md, "Vote log"): a ring of slots, each with two copies of one vote. A vote
/// that was recorded survives a killed process and a single damaged byte; a vote whose writing was cut short was
/// never given. Safe on any thread; `record` waits for the device, so call it on the storage worker.
public final class VoteLog: Sendable {
    private let file: any DiskFile
    let blockPath: String
    let disk: any Disk
    /// Which stamps the node may have used as a leader.
    public let stamps: StampReserve
    private let state: Mutex<State>

    private struct State {
        var votes: [VoteRecord]
        var nextSequence: UInt64
    }

    /// Votes kept. Only the last one decides; the rest are for whoever looks into a dispute.
    private static let slots = 16
    private static let slotSize = 2 * VoteRecord.size

    /// Opens the file `VOTES` in an existing directory, or makes it. The directory must be locked by the node: open
    /// its `BlockStore` first.
    public convenience init(directory: String) throws(StorageError) {
        try self.init(directory: directory, disk: SystemDisk.shared)
    }

    package init(directory: String, disk: any Disk) throws(StorageError) {
        let path = directory + "/VOTES"
        blockPath = directory + "/VOTED"
        self.disk = disk
        stamps = try StampReserve(directory: directory, disk: disk)
        let size = VoteLog.slots * VoteLog.slotSize
        if !disk.exists(path) {
            try AtomicFile.write([UInt8](repeating: 0, count: size), to: path, disk: disk)
        }
        file = try disk.open(path, .readWrite)
        // The file, or a vote in it, may be in the kernel's memory only, left by a killed process. Votes are given by
        // what is found, so it must last.
        try disk.synchronizeDirectory(directory)
        try file.synchronize()
        let bytes = try file.read(at: 0, count: size + 1)
        guard bytes.count == size else {
            throw .corrupted(path: path, offset: bytes.count, "a vote log has \(size) bytes")
        }
        var votes: [VoteRecord] = []
        for slot in 0..<VoteLog.slots {
            let start = slot * VoteLog.slotSize
            let copies = [start, start + VoteRecord.size].map {
                VoteRecord(decoding: [UInt8](bytes[$0..<$0 + VoteRecord.size]))
            }
            // A copy alone is a vote whose second copy was damaged or cut off. Both copies may also differ, when
            // writing was cut off between them: then the newer may have been given.
            let newest = copies.compactMap { $0 }.max { $0.sequence < $1.sequence }
            if let newest {
                guard newest.sequence % UInt64(VoteLog.slots) == UInt64(slot) else {
                    throw .corrupted(path: path, offset: start, "a vote is in the wrong place")
                }
                votes.append(newest)
            } else if bytes[start..<start + VoteLog.slotSize].contains(where: { $0 != 0 }) {
                throw .corrupted(path: path, offset: start, "neither copy of a vote matches its checksum")
            }
        }
        votes.sort { $0.sequence < $1.sequence }
        // Sequence numbers without a gap: a slot that was zeroed would hide the vote it held.
        for (older, newer) in zip(votes, votes.dropFirst()) where newer.sequence != older.sequence &+ 1 {
            let slot = Int((older.sequence &+ 1) % UInt64(VoteLog.slots))
            throw .corrupted(path: path, offset: slot * VoteLog.slotSize, "a vote is missing")
        }
        state = Mutex(State(votes: votes, nextSequence: (votes.last?.sequence ?? 0) &+ 1))
    }

    /// The newest vote.
    public var last: Vote? { state.withLock { $0.votes.last?.vote } }

    /// The last votes, oldest first; at most 16.
    public var votes: [Vote] { state.withLock { $0.votes.map(\.vote) } }

    /// Puts a vote on the device before it is given. Throws `voteRefused` if it contradicts the last one:
    ///
    /// * a lower height;
    /// * the same height, another block, and a stamp that is not newer (the leader proposes another block at a height
    ///   only with a newer stamp);
    /// * the same block, but another application hash, a nack after an ack, or an ack after a nack without a newer
    ///   stamp.
    ///
    /// Recording the last vote again does nothing; with a newer stamp it keeps that. After an error nothing is
    /// recorded.
    public func record(_ vote: Vote) throws(StorageError) {
        assert(apus_may_block(), "a vote is recorded on a reactor's thread")
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
                // Back to what the slot held, or the next start would take the vote as given. If that fails too,
                // such a start refuses a little more than it must.
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
        func refuse(_ why: String) -> StorageError { .voteRefused("\(vote); \(why): \(last)") }
        if vote.height < last.height { throw refuse("a later one was given") }
        guard vote.height == last.height else { return }
        if vote.blockHash != last.blockHash {
            if vote.stamp <= last.stamp { throw refuse("another one was given for this height") }
            return
        }
        if case .ack = last.decision, vote.decision != last.decision {
            throw refuse("the same block was voted on otherwise")
        }
        if last.decision == .nack, vote.decision != .nack, vote.stamp <= last.stamp {
            throw refuse("the same block was refused")
        }
    }
}
