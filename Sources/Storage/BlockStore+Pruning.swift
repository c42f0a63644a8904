import CShims

/// Dropping old blocks (docs/storage.md, "Pruning").
extension BlockStore {
    /// The first block; nil in an empty store. It moves as the store is pruned.
    public var firstHeight: Int64? { state.withLock { $0.firstHeight } }

    /// Removes the segments whose blocks are all below `height`, except the last one. Slices that were returned before stay
    /// valid. Waits for fsyncs: call it on the storage worker. After an error the blocks from `height` on are still there.
    public func prune(below height: Int64) throws(StorageError) {
        assert(apus_may_block(), "the block log is pruned on a thread that may not wait")
        try writer.withLock { writer throws(StorageError) in
            let (tip, first) = state.withLock { ($0.index == nil ? nil : $0.tip, $0.firstHeight) }
            guard let tip, let first, let last = writer.segment?.firstHeight, height > first else { return }
            let names = try MappedSegments.names(in: directory, disk: disk)
            guard let keep = names.last(where: { $0 <= min(height, last) }), keep > first else { return }
            // Once the mark says where the log begins, a start ends what a crash interrupts.
            let mark = CommitMark(firstHeight: keep, lastHeight: tip.height, segment: last, hash: tip.hash)
            // The next append opens the new file.
            writer.mark = nil
            try AtomicFile.write(mark.encode(), to: CommitMark.path(directory), disk: disk)
            state.withLock { $0.firstHeight = keep }
            try segments.remove(names.filter { $0 < keep })
        }
    }

    /// Returns the error for a block that the index knows and the store has dropped; nil for any other.
    func pruned(_ height: Int64) -> StorageError? {
        guard let first = firstHeight, height < first else { return nil }
        return .pruned(height: height, first: first)
    }
}
