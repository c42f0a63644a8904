import Synchronization

/// Counts durations in HdrHistogram's buckets (`HistogramBuckets`), in nanoseconds. Any thread may record, without a lock.
///
/// A histogram holds 1 KiB for each doubling of its durations, from the first of them on, because a node has many
/// histograms and a simulation many nodes. Recording allocates nothing else.
public final class Histogram: Sendable {
    private typealias Counts = UnsafeMutablePointer<Atomic<UInt64>>

    /// The counts of each doubling; null before its first duration.
    private nonisolated(unsafe) let parts: UnsafeMutablePointer<Atomic<UnsafeMutableRawPointer?>>
    private let sum = Atomic<UInt64>(0)
    private let least = Atomic<UInt64>(HistogramBuckets.highestNanoseconds)
    private let greatest = Atomic<UInt64>(0)
    private let clamped = Atomic<UInt64>(0)

    private static var partCount: Int { HistogramBuckets.count / HistogramBuckets.half }

    /// Creates an empty histogram.
    public init() {
        parts = .allocate(capacity: Self.partCount)
        for part in 0..<Self.partCount { (parts + part).initialize(to: Atomic(nil)) }
    }

    deinit {
        for part in 0..<Self.partCount {
            if let counts = counts(of: part) { Self.free(counts) }
        }
        parts.deinitialize(count: Self.partCount)
        parts.deallocate()
    }

    /// Counts a duration. One longer than an hour counts as an hour, and among the clamped.
    @inline(__always)
    public func record(nanoseconds: UInt64) {
        var value = nanoseconds
        if value > HistogramBuckets.highestNanoseconds {
            value = HistogramBuckets.highestNanoseconds
            clamped.wrappingAdd(1, ordering: .relaxed)
        }
        let index = HistogramBuckets.index(of: value)
        let part = index / HistogramBuckets.half
        let counts = counts(of: part) ?? addCounts(of: part)
        counts[index % HistogramBuckets.half].wrappingAdd(1, ordering: .relaxed)
        sum.wrappingAdd(value, ordering: .relaxed)
        // Swift 6.3's `min` of an unsigned atomic compares as if it were signed: values stay below 2^63.
        if value < least.load(ordering: .relaxed) { least.min(value, ordering: .relaxed) }
        if value > greatest.load(ordering: .relaxed) { greatest.max(value, ordering: .relaxed) }
    }

    /// Counts a duration. A negative one counts as 0, and one longer than an hour as an hour.
    public func record(_ duration: Duration) { record(nanoseconds: duration.wholeNanoseconds) }

    /// A copy of the counts. What other threads record meanwhile is in it wholly, partly or not at all.
    public func snapshot() -> HistogramSnapshot {
        var all = Array(repeating: UInt64(0), count: HistogramBuckets.count)
        for part in 0..<Self.partCount {
            guard let counts = counts(of: part) else { continue }
            for place in 0..<HistogramBuckets.half {
                all[part * HistogramBuckets.half + place] = counts[place].load(ordering: .relaxed)
            }
        }
        return HistogramSnapshot(
            counts: all, sum: sum.load(ordering: .relaxed), least: least.load(ordering: .relaxed),
            greatest: greatest.load(ordering: .relaxed), clamped: clamped.load(ordering: .relaxed))
    }

    // MARK: Memory

    @inline(__always)
    private func counts(of part: Int) -> Counts? {
        parts[part].load(ordering: .acquiring)?.assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Adds the counts of a doubling, unless another thread does so at the same time.
    @inline(never)
    private func addCounts(of part: Int) -> Counts {
        let new = Counts.allocate(capacity: HistogramBuckets.half)
        for place in 0..<HistogramBuckets.half { (new + place).initialize(to: Atomic(0)) }
        let (isNew, other) = parts[part].compareExchange(
            expected: nil, desired: UnsafeMutableRawPointer(new), ordering: .acquiringAndReleasing)
        guard !isNew, let other else { return new }
        Self.free(new)
        return other.assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    private static func free(_ counts: Counts) {
        counts.deinitialize(count: HistogramBuckets.half)
        counts.deallocate()
    }
}

extension Duration {
    /// Its whole nanoseconds: 0 if it is negative, `UInt64.max` if it has more.
    var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (total, carry) = whole.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000))
        return overflow || carry ? .max : total
    }
}
