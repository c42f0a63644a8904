import Synchronization

/// Counts durations in HdrHistogram's buckets (`HistogramBuckets`), in nanoseconds. Any thread may record; recording
/// neither locks nor allocates. A histogram holds 36 KiB.
public final class Histogram: Sendable {
    private nonisolated(unsafe) let counts: UnsafeMutablePointer<Atomic<UInt64>>
    private let sum = Atomic<UInt64>(0)
    private let least = Atomic<UInt64>(HistogramBuckets.highestNanoseconds)
    private let greatest = Atomic<UInt64>(0)
    private let clamped = Atomic<UInt64>(0)

    /// Creates an empty histogram.
    public init() {
        counts = .allocate(capacity: HistogramBuckets.count)
        for index in 0..<HistogramBuckets.count { (counts + index).initialize(to: Atomic(0)) }
    }

    deinit {
        counts.deinitialize(count: HistogramBuckets.count)
        counts.deallocate()
    }

    /// Counts a duration. One longer than an hour counts as an hour, and among the clamped.
    @inline(__always)
    public func record(nanoseconds: UInt64) {
        var value = nanoseconds
        if value > HistogramBuckets.highestNanoseconds {
            value = HistogramBuckets.highestNanoseconds
            clamped.wrappingAdd(1, ordering: .relaxed)
        }
        counts[HistogramBuckets.index(of: value)].wrappingAdd(1, ordering: .relaxed)
        sum.wrappingAdd(value, ordering: .relaxed)
        if value < least.load(ordering: .relaxed) { least.min(value, ordering: .relaxed) }
        if value > greatest.load(ordering: .relaxed) { greatest.max(value, ordering: .relaxed) }
    }

    /// Counts a duration. A negative one counts as 0, and one longer than an hour as an hour.
    public func record(_ duration: Duration) { record(nanoseconds: duration.wholeNanoseconds) }

    /// A copy of the counts. What other threads record meanwhile is in it wholly, partly or not at all.
    public func snapshot() -> HistogramSnapshot {
        HistogramSnapshot(
            counts: (0..<HistogramBuckets.count).map { counts[$0].load(ordering: .relaxed) },
            sum: sum.load(ordering: .relaxed), least: least.load(ordering: .relaxed),
            greatest: greatest.load(ordering: .relaxed), clamped: clamped.load(ordering: .relaxed))
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
