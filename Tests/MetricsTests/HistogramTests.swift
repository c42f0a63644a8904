import Testing

@testable import Metrics

struct HistogramTests {
    @Test func bucketsFollowEachOther() {
        // HdrHistogram(1, 3600000000000, 2) has 36 halves of 128 buckets.
        #expect(HistogramBuckets.count == 4608)
        var next: UInt64 = 0
        for index in 0..<HistogramBuckets.count {
            let range = HistogramBuckets.range(of: index)
            #expect(range.lowerBound == next)
            #expect(HistogramBuckets.index(of: range.lowerBound) == index)
            #expect(HistogramBuckets.index(of: range.upperBound) == index)
            #expect(range.upperBound - range.lowerBound <= range.lowerBound / 128)
            next = range.upperBound + 1
        }
        #expect(next > HistogramBuckets.highestNanoseconds)
    }

    /// Indexes by HdrHistogram's own arithmetic: sub-bucket count 256, unit magnitude 0.
    @Test(
        arguments: [
            (0, 0), (255, 255), (256, 256), (257, 256), (258, 257), (511, 383), (512, 384), (1_000_000, 1780),
            (3_600_000_000_000, 4561),
        ] as [(UInt64, Int)])
    func indexesAreThoseOfHdrHistogram(_ value: UInt64, _ index: Int) {
        #expect(HistogramBuckets.index(of: value) == index)
    }

    @Test func anEmptyHistogramHasZeros() {
        let empty = Histogram().snapshot()
        #expect(empty == HistogramSnapshot())
        #expect(empty.count == 0 && empty.sum == 0 && empty.minimum == 0 && empty.maximum == 0)
        #expect(empty.value(atPercentile: 99) == 0)
    }

    @Test func percentilesAreWithinABucket() {
        let histogram = Histogram()
        for value in 1...10_000 as ClosedRange<UInt64> { histogram.record(nanoseconds: value * 1000) }
        let snapshot = histogram.snapshot()
        #expect(snapshot.count == 10_000)
        #expect(snapshot.sum == 50_005_000_000)
        #expect(snapshot.minimum == 1000 && snapshot.maximum == 10_000_000)
        for percent in [0.01, 1, 50, 90, 99, 99.9] {
            let exact = UInt64(percent * 100) * 1000
            #expect((exact...(exact + exact / 128)).contains(snapshot.value(atPercentile: percent)))
        }
        #expect(snapshot.value(atPercentile: 100) == 10_000_000)
        #expect(snapshot.value(atPercentile: 0) == 1003, "the upper end of the bucket of 1000")
        #expect(snapshot.count(upTo: 999_000) == 999)
        #expect(snapshot.count(upTo: .max) == 10_000)
    }

    @Test func durationsBeyondAnHourAreClampedAndCounted() {
        let histogram = Histogram()
        histogram.record(.seconds(3600))
        histogram.record(.seconds(3601))
        histogram.record(.seconds(Int64.max))
        histogram.record(.nanoseconds(-5))
        let snapshot = histogram.snapshot()
        #expect(snapshot.clamped == 2)
        #expect(snapshot.count == 4)
        #expect(snapshot.minimum == 0)
        #expect(snapshot.maximum == HistogramBuckets.highestNanoseconds)
        #expect(snapshot.sum == 3 * HistogramBuckets.highestNanoseconds)
    }

    @Test func mergingAddsTheDurationsOfBoth() {
        let (one, other, both) = (Histogram(), Histogram(), Histogram())
        for value in [5, 70_000, 4_000_000_000_000] as [UInt64] {
            one.record(nanoseconds: value)
            both.record(nanoseconds: value)
        }
        for value in [3, 70_001] as [UInt64] {
            other.record(nanoseconds: value)
            both.record(nanoseconds: value)
        }
        var merged = HistogramSnapshot()
        merged.merge(one.snapshot())
        merged.merge(other.snapshot())
        #expect(merged == both.snapshot())
        #expect(merged.minimum == 3)
    }

    @Test func durationsFromManyThreadsAreAllCounted() async {
        let histogram = Histogram()
        await withTaskGroup(of: Void.self) { group in
            for thread in 1...8 as ClosedRange<UInt64> {
                group.addTask {
                    for _ in 0..<10_000 { histogram.record(nanoseconds: thread) }
                }
            }
        }
        let snapshot = histogram.snapshot()
        #expect(snapshot.count == 80_000)
        #expect(snapshot.sum == 360_000)
        #expect(snapshot.minimum == 1 && snapshot.maximum == 8)
    }

    /// Threads that begin the same doubling at once share its counts.
    @Test func doublingsThatThreadsBeginTogetherLoseNothing() async {
        for _ in 0..<50 {
            let histogram = Histogram()
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for doubling in 0..<36 as Range<UInt64> {
                            histogram.record(nanoseconds: 200 << doubling)
                        }
                    }
                }
            }
            let snapshot = histogram.snapshot()
            #expect(snapshot.count == 8 * 36)
            #expect(snapshot.counts.allSatisfy { $0 % 8 == 0 })
        }
    }
}
