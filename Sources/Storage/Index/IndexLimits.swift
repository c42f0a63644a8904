/// When the block index writes its table as a run, and when it merges runs (docs/storage.md, "Index").
package struct IndexLimits: Sendable {
    /// The number of blocks and transactions in a table. Two full tables take about 8 MiB of memory.
    var entries = 32_768
    /// The number of blocks in a table, and their bytes. After a crash a start reads the blocks of up to two tables again,
    /// and these two limits bound the time for that.
    var blocks = 8_192
    var bytes = 32 << 20
    /// The number of runs of one level that are merged. A larger one makes bytes written fewer and lookups slower.
    var fanout = 4

    /// The limits of a node.
    package init() {}

    /// Limits with a table of `entries` blocks and transactions, to have many runs and merges in a short chain.
    package init(entries: Int) { self.entries = entries }

    /// The limits of a table that waits for the one before it to be written.
    var overdue: IndexLimits {
        var limits = self
        limits.entries *= 4
        limits.blocks *= 4
        limits.bytes *= 4
        return limits
    }

    /// Returns the range of the runs to merge, given the number of entries of each, oldest first; nil if they are few.
    ///
    /// A run of level n has at most 2 · 4ⁿ tables' entries, for a fanout of 4. Four newest runs of a level, with smaller
    /// runs among them, become one, of the next level if the four had the usual size. So there are at most three of each
    /// level, and an entry is written at most once per level.
    func merge(of sizes: [Int]) -> Range<Int>? {
        var chosen: Range<Int>?
        var level = 0
        var start = sizes.count
        while start > 0 {
            var count = 0
            while start > 0, self.level(sizes[start - 1]) <= level {
                start -= 1
                if self.level(sizes[start]) == level { count += 1 }
            }
            if count >= fanout { chosen = start..<sizes.count }
            level += 1
        }
        guard let chosen, sizes[chosen].reduce(0, +) <= IndexRunHeader.maxCount else { return nil }
        return chosen
    }

    private func level(_ size: Int) -> Int {
        var level = 0
        var limit = 2 * entries
        while size > limit {
            level += 1
            limit *= fanout
        }
        return level
    }
}
