/// The buckets of HdrHistogram with two significant digits, for durations from 1 ns to one hour: 256 buckets of 1 ns, then
/// 128 for each doubling, so that a bucket is never wider than 1/128 of its values. Numbers of buckets are
/// HdrHistogram's indexes for a lowest discernible value of 1, as its export format has them.
/// http://hdrhistogram.org
public enum HistogramBuckets {
    /// One hour. What is longer counts as this.
    public static let highestNanoseconds: UInt64 = 3_600_000_000_000
    /// The significant decimal digits that a bucket keeps.
    public static let significantDigits = 2
    /// The number of buckets.
    public static let count = index(of: highestNanoseconds) / half * half + half

    /// Two digits need 200 steps of 1; HdrHistogram takes the next power of two.
    private static let magnitude = 8
    static let half = 1 << (magnitude - 1)

    /// The bucket that holds a duration of at most `highestNanoseconds`.
    @inline(__always)
    public static func index(of nanoseconds: UInt64) -> Int {
        let doublings = 64 &- magnitude &- (nanoseconds | UInt64(2 &* half &- 1)).leadingZeroBitCount
        return doublings &* half &+ Int(truncatingIfNeeded: nanoseconds &>> UInt64(doublings))
    }

    /// The durations in a bucket of this scheme, in nanoseconds.
    public static func range(of index: Int) -> ClosedRange<UInt64> {
        let doublings = max(0, index / half - 1)
        let low = UInt64(index - doublings * half) << UInt64(doublings)
        return low...(low + (1 << UInt64(doublings)) - 1)
    }
}
