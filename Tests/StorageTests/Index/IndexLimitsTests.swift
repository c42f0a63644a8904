import Testing

@testable import Storage

/// Which runs are merged.
@Suite struct IndexLimitsTests {
    /// Writes `tables` runs of about `size` entries and merges whenever it is due; returns the runs, and the number of entries
    /// written for each.
    private static func fill(
        _ limits: IndexLimits, tables: Int, size: (Int) -> Int
    ) -> (runs: [Int], mostRuns: Int, written: Double) {
        var (runs, mostRuns, written, total) = ([Int](), 0, 0, 0)
        for number in 0..<tables {
            runs.append(size(number))
            written += size(number)
            total += size(number)
            while let range = limits.merge(of: runs) {
                let sum = runs[range].reduce(0, +)
                written += sum
                runs.replaceSubrange(range, with: [sum])
            }
            mostRuns = max(mostRuns, runs.count)
        }
        return (runs, mostRuns, Double(written) / Double(total))
    }

    @Test func runsStayFewAndEntriesAreSeldomWritten() {
        let limits = IndexLimits(entries: 100)
        for tables in [10, 100, 1000, 10_000] {
            let levels = tables.trailingZeroBitCount >= 0 ? Int.bitWidth - tables.leadingZeroBitCount : 0
            let found = IndexLimitsTests.fill(limits, tables: tables) { 100 + $0 % 40 }
            // Three of each level, and each entry once per level; a level is a factor of 4.
            #expect(found.mostRuns <= 3 * (levels / 2 + 1))
            #expect(found.written <= Double(levels) / 2 + 2, "\(found)")
        }
    }

    @Test func smallRunsAreMergedTooAndLargeOnesLeftAlone() {
        let limits = IndexLimits(entries: 100)
        // Each restart of a node leaves a small run.
        let found = IndexLimitsTests.fill(limits, tables: 1000) { _ in 1 }
        #expect(found.mostRuns <= 9)
        #expect(limits.merge(of: [100_000, 1, 1, 1]) == nil)
        #expect(limits.merge(of: [100_000, 1, 1, 1, 1]) == 1..<5)
        #expect(limits.merge(of: [100_000, 700, 700, 1, 700, 700]) == 1..<6)
        #expect(limits.merge(of: []) == nil)
    }

    @Test func aRunNeverHasMoreEntriesThanItsFormatAllows() {
        let half = IndexRunHeader.maxCount / 2
        #expect(IndexLimits().merge(of: [half, half, half, half]) == nil)
    }
}
