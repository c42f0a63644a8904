import Testing

@testable import Mempool

@Suite struct FarBehindTests {
    @Test func onlyOldBlocksThatComeAreCatchingUp() {
        var far = FarBehind()
        #expect(!far.isFar(now: .zero))
        far.committed(timestamp: 1_000, wallClock: 1_000_000, now: .zero)
        #expect(!far.isFar(now: .zero))
        #expect(far.deadline == nil)
        far.syncing(true, now: .seconds(100))
        #expect(!far.isFar(now: .seconds(100)), "heights that were claimed are no blocks")
        #expect(far.deadline == nil)
        far.committed(timestamp: 1_500, wallClock: 1_000_000, now: .seconds(100))
        #expect(far.isFar(now: .seconds(129)))
        #expect(far.deadline == .seconds(130))
        #expect(!far.isFar(now: .seconds(130)))
        far.committed(timestamp: 2_000, wallClock: 1_000_000, now: .seconds(140))
        #expect(far.isFar(now: .seconds(141)))
        far.committed(timestamp: 970_001, wallClock: 1_000_000, now: .seconds(142))
        #expect(!far.isFar(now: .seconds(142)))
        far.committed(timestamp: 1_000_001, wallClock: 1_000_000, now: .seconds(143))
        #expect(!far.isFar(now: .seconds(143)))
        far.committed(timestamp: 970_000, wallClock: 1_000_000, now: .seconds(144))
        #expect(far.isFar(now: .seconds(144)))
        far.syncing(false, now: .seconds(145))
        #expect(!far.isFar(now: .seconds(145)))
    }
}
