/// The counts of a `Histogram` at one time, or of several histograms together. All durations are in nanoseconds.
public struct HistogramSnapshot: Equatable, Sendable {
    /// The number of durations in each of `HistogramBuckets`.
    public private(set) var counts: [UInt64]
    /// The sum of the durations, which wraps at 2^64 ns, or 584 years.
    public private(set) var sum: UInt64
    /// The number of durations longer than an hour, which count as an hour.
    public private(set) var clamped: UInt64
    private var least: UInt64
    private var greatest: UInt64

    init(counts: [UInt64], sum: UInt64, least: UInt64, greatest: UInt64, clamped: UInt64) {
        self.counts = counts
        self.sum = sum
        self.least = least
        self.greatest = greatest
        self.clamped = clamped
    }

    /// Creates a snapshot without durations, to merge others into.
    public init() {
        self.init(
            counts: Array(repeating: 0, count: HistogramBuckets.count), sum: 0,
            least: HistogramBuckets.highestNanoseconds, greatest: 0, clamped: 0)
    }

    /// Creates a copy of a snapshot from its buckets that are not empty. Returns nil if one has a number that
    /// `HistogramBuckets` lacks.
    public init?(
        buckets: [(index: Int, count: UInt64)], sum: UInt64, minimum: UInt64, maximum: UInt64, clamped: UInt64
    ) {
        self.init()
        for (index, count) in buckets {
            guard counts.indices.contains(index) else { return nil }
            counts[index] &+= count
        }
        if !buckets.isEmpty { (least, greatest) = (minimum, maximum) }
        self.sum = sum
        self.clamped = clamped
    }

    /// The number of durations.
    public var count: UInt64 { counts.reduce(0, &+) }
    /// The shortest duration; 0 if there is none.
    public var minimum: UInt64 { min(least, greatest) }
    /// The longest duration; 0 if there is none.
    public var maximum: UInt64 { greatest }

    /// The duration that `percentile` (0 to 100) percent of all do not exceed, at most 1/128 too long; 0 if there is none.
    public func value(atPercentile percentile: Double) -> UInt64 {
        let total = count
        let wanted = max(1, UInt64((Double(total) * min(max(percentile, 0), 100) / 100).rounded(.up)))
        var seen: UInt64 = 0
        for (index, number) in counts.enumerated() {
            seen &+= number
            if seen >= wanted { return min(HistogramBuckets.range(of: index).upperBound, greatest) }
        }
        return greatest
    }

    /// The number of durations in the buckets up to that of `nanoseconds`: exact, but for durations at most 1/128 longer.
    public func count(upTo nanoseconds: UInt64) -> UInt64 {
        let last = HistogramBuckets.index(of: min(nanoseconds, HistogramBuckets.highestNanoseconds))
        return counts[...last].reduce(0, &+)
    }

    /// Adds the durations of another snapshot.
    public mutating func merge(_ other: HistogramSnapshot) {
        for index in counts.indices { counts[index] &+= other.counts[index] }
        sum &+= other.sum
        clamped &+= other.clamped
        least = min(least, other.least)
        greatest = max(greatest, other.greatest)
    }
}
