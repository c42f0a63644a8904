import Bytes
import CShims
import Chain
import Crypto

/// Appending to the log (docs/storage.md, "Appending").
extension BlockStore {
    /// A block to append, with its commit info and one result for each transaction.
    public struct Addition: Sendable {
        let hashed: HashedBlock
        let commitInfo: CommitInfo
        let results: [TransactionResult]

        /// Creates an addition from its parts.
        public init(_ hashed: HashedBlock, _ commitInfo: CommitInfo, _ results: [TransactionResult]) {
            (self.hashed, self.commitInfo, self.results) = (hashed, commitInfo, results)
        }
    }

    /// A record to write, and what it holds.
    private struct Draft {
        var record: BlockRecord
        let addition: Addition
        let commitInfo: SharedBytes
        let results: SharedBytes

        var block: Block { addition.hashed.block }

        /// The tip once it is appended.
        var tip: BlockTip {
            BlockTip(height: block.height, hash: block.hash, appHash: addition.commitInfo.appHash)
        }

        init(_ addition: Addition) {
            self.addition = addition
            commitInfo = SharedBytes(addition.commitInfo.bytes)
            results = ResultList(addition.results).bytes
            let block = addition.hashed.block
            record = BlockRecord(
                height: block.height, hash: block.hash, block: .init(of: block.bytes),
                commitInfo: .init(of: commitInfo), results: .init(of: results))
        }
    }

    /// Appends the next block alone: see `append(_:)` for several.
    @discardableResult
    public func append(
        _ hashed: HashedBlock, _ commitInfo: CommitInfo, _ results: [TransactionResult]
    ) throws(StorageError) -> StoredBlock {
        try append([Addition(hashed, commitInfo, results)])[0]
    }

    /// Appends the next blocks and returns once they are durable, with one fsync for all that fit into the segment: the blocks
    /// as a read would return them, but with the bytes that were appended instead of slices of the log.
    ///
    /// Throws `refused`, and appends nothing, if a block does not follow the one before it. After any other error the store
    /// holds those of the blocks that filled an earlier segment, mostly none, and the caller may retry with the others.
    @discardableResult
    public func append(_ additions: [Addition]) throws(StorageError) -> [StoredBlock] {
        assert(apus_may_block(), "the block log is written on a thread that may not wait")
        let drafts = additions.map(Draft.init)
        return try writer.withLock { writer throws(StorageError) in
            let (index, tip) = state.withLock { ($0.index, $0.tip) }
            guard let index else { throw .closed }
            if index.isOverdue { try index.maintain() }
            var before = tip
            for draft in drafts {
                try BlockStore.check(draft, after: before)
                before = draft.tip
            }
            if writer.mustTruncate, let segment = writer.segment {
                try segment.cutOff()
                writer.mustTruncate = false
            }
            var stored: [StoredBlock] = []
            stored.reserveCapacity(drafts.count)
            while stored.count < drafts.count {
                let segment = try activeSegment(&writer, for: drafts[stored.count].record)
                stored += try append(drafts[stored.count...], to: segment, &writer, index)
            }
            return stored
        }
    }

    /// Appends the first of these blocks, and those after it that fit, to a segment.
    private func append(
        _ drafts: ArraySlice<Draft>, to active: ActiveSegment, _ writer: inout Writer, _ index: BlockIndex
    ) throws(StorageError) -> [StoredBlock] {
        var segment = active
        var records: [(BlockRecord, parts: [SharedBytes])] = []
        var end = segment.end
        for var draft in drafts {
            guard records.isEmpty || end + draft.record.size <= segmentSize else { break }
            draft.record.isContinuation = !records.isEmpty
            records.append((draft.record, [draft.block.bytes, draft.commitInfo, draft.results]))
            end += draft.record.size
        }
        let fitting = drafts.prefix(records.count)
        do throws(StorageError) {
            try segment.append(records)
        } catch {
            do throws(StorageError) { try active.cutOff() } catch { writer.mustTruncate = true }
            throw error
        }
        writer.segment = segment
        return finish(fitting, in: segment, from: active.end, &writer, index)
    }

    /// Makes blocks readable that are durable now, from `offset` on.
    private func finish(
        _ drafts: ArraySlice<Draft>, in segment: ActiveSegment, from offset: Int, _ writer: inout Writer,
        _ index: BlockIndex
    ) -> [StoredBlock] {
        let path = segments.path(segment.firstHeight)
        var offset = offset
        var stored: [StoredBlock] = []
        for draft in drafts {
            let block = draft.block
            index.insert(
                BlockIndex.Entry(
                    block, draft.addition.hashed.transactionIDs, segment: segment.firstHeight, offset: offset)
            )
            stored.append(
                StoredBlock(
                    height: block.height, hash: block.hash, block: block.bytes, commitInfo: draft.commitInfo,
                    resultBytes: draft.results, path: path, offset: offset))
            offset += draft.record.size
        }
        guard let last = drafts.last, let lowest = drafts.first else { return stored }
        let first = state.withLock { $0.firstHeight } ?? lowest.block.height
        writeMark(
            &writer,
            CommitMark(
                firstHeight: first, lastHeight: last.block.height, segment: segment.firstHeight,
                hash: last.block.hash))
        state.withLock {
            $0.firstHeight = first
            $0.tip = last.tip
        }
        return stored
    }

    private static func check(_ draft: Draft, after tip: BlockTip?) throws(StorageError) {
        let (block, commitInfo, results) = (draft.block, draft.commitInfo, draft.addition.results)
        guard block.height > 0 else { throw .refused("its height is \(block.height)") }
        if let tip {
            let next = tip.height &+ 1
            guard block.height == next else { throw .refused("its height is \(block.height), not \(next)") }
            guard block.header.previousHash == tip.hash else {
                throw .refused("its previous hash is \(block.header.previousHash), not \(tip.hash)")
            }
        }
        guard results.count == block.transactions.count else {
            throw .refused("it has \(block.transactions.count) transactions but \(results.count) results")
        }
        guard block.bytes.count <= ChainLimits.blockBytes, commitInfo.count <= ChainLimits.commitInfoBytes
        else {
            throw .refused(
                "it has \(block.bytes.count) bytes and its commit info \(commitInfo.count); the limits are "
                    + "\(ChainLimits.blockBytes) and \(ChainLimits.commitInfoBytes)")
        }
    }

    /// Returns the segment for the next record: the last one, or a new one if the record would make that too large.
    private func activeSegment(
        _ writer: inout Writer, for record: BlockRecord
    ) throws(StorageError) -> ActiveSegment {
        if let segment = writer.segment,
            segment.end == SegmentHeader.size || segment.end + record.size <= segmentSize
        {
            return segment
        }
        let segment = try ActiveSegment(
            creating: segments.path(record.height), firstHeight: record.height, directory: directory,
            disk: disk)
        writer.segment = segment
        return segment
    }

    /// Updates the mark. A stale or missing mark only weakens a check, so an error must not fail a durable block.
    private func writeMark(_ writer: inout Writer, _ mark: CommitMark) {
        do {
            let file = try writer.mark ?? disk.open(CommitMark.path(directory), .createIfMissing)
            writer.mark = file
            try file.write(mark.encode(), at: 0)
        } catch {
            writer.mark = nil
            _ = try? disk.remove(CommitMark.path(directory))
        }
    }
}
