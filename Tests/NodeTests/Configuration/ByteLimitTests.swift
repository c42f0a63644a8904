import LibP2P
import Testing

@testable import Node

@Suite struct ByteLimitTests {
    /// In MiB: a chain's largest block, and the limits for one peer and for all.
    @Test(arguments: [
        (0, 16, 128), (1, 24, 192), (6, 64, 512), (40, 64, 512), (60, 76, 512), (280, 296, 592),
    ])
    func byteLimitsFollowTheChain(block: Int, peer: Int, all: Int) {
        let (perPeer, total) = ResourceLimits.bytes(forBlocksOf: block << 20)
        #expect(perPeer == peer << 20 && total == all << 20)
    }
}
