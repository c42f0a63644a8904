import Crypto
import Multiformats
import TestSupport
import Testing

@testable import Node

/// Which peer an announced block is fetched from, and which is asked last.
@Suite struct BlockSourcesTests {
    private let block = Hash.sha256(of: [1])

    private func peer(_ number: Int) -> PeerID { PeerID.numbered(number) }

    @Test func aSlowSourceIsNotTheOnlyOneAsked() {
        var sources = BlockSources()
        sources.began(block, from: peer(1), now: .zero)
        #expect(sources.step(block, bytes: 0, holders: [peer(1), peer(2)], now: .seconds(1)) == .wait)
        #expect(
            sources.step(block, bytes: 9, holders: [peer(1)], now: .seconds(2)) == .wait, "no other has it"
        )
        #expect(
            sources.step(block, bytes: 9, holders: [peer(1), peer(2), peer(3)], now: .seconds(3))
                == .ask(peer(2), blamed: peer(1), times: 1))
        #expect(
            sources.step(block, bytes: 0, holders: [peer(1), peer(2), peer(3)], now: .seconds(4)) == .wait)
        #expect(
            sources.step(block, bytes: 0, holders: [peer(1), peer(2), peer(3)], now: .seconds(5))
                == .ask(peer(3), blamed: peer(2), times: 1))
        #expect(
            sources.step(block, bytes: 0, holders: [peer(1), peer(2), peer(3)], now: .seconds(9)) == .wait)
        sources.ended(block)
        #expect(sources.step(block, bytes: 0, holders: [], now: .seconds(10)) == nil)
    }

    @Test func aBlockThatKeepsArrivingIsAwaited() {
        var sources = BlockSources()
        sources.began(block, from: peer(1), now: .zero)
        for second in 1..<10 {
            let bytes = second * BlockSources.leastBytes
            #expect(
                sources.step(block, bytes: bytes, holders: [peer(1), peer(2)], now: .seconds(second)) == .wait
            )
        }
        #expect(
            sources.step(
                block, bytes: 10 * BlockSources.leastBytes, holders: [peer(1), peer(2)], now: .seconds(10))
                == .ask(peer(2), blamed: nil, times: 0), "it is no failure")
        #expect(!sources.isDoubtful(peer(1), now: .seconds(10)))
    }

    @Test func enoughInTwoSecondsIsEnough() {
        var sources = BlockSources()
        sources.began(block, from: peer(1), now: .zero)
        // 40 KiB per second: less than 64 KiB in any second, but more in any two.
        for second in 1..<10 {
            #expect(
                sources.step(
                    block, bytes: second * (40 << 10), holders: [peer(1), peer(2)], now: .seconds(second))
                    == .wait)
        }
        #expect(
            sources.step(block, bytes: 400 << 10, holders: [peer(1), peer(2)], now: .seconds(10))
                == .ask(peer(2), blamed: nil, times: 0))
        // 20 KiB per second is too slow.
        #expect(
            sources.step(block, bytes: 20 << 10, holders: [peer(2), peer(3)], now: .seconds(11)) == .wait)
        #expect(
            sources.step(block, bytes: 40 << 10, holders: [peer(2), peer(3)], now: .seconds(12))
                == .ask(peer(3), blamed: peer(2), times: 1))
    }

    @Test func whoSendsNotAByteOfWhatAnotherSentWholeWithholdsIt() {
        var sources = BlockSources()
        let limit = BlockSources.longestSilence
        #expect(sources.silence(asked: .seconds(1), hasSent: false, now: limit) == .wait)
        #expect(sources.silence(asked: .seconds(1), hasSent: true, now: .seconds(60)) == .over, "it is slow")
        #expect(sources.silence(asked: .seconds(1), hasSent: false, now: .seconds(1) + limit) == .withholds)
        #expect(sources.tests(peer(1), now: .zero) == false, "a peer that is not doubtful is asked anyway")
        #expect(sources.withheld(peer(1), now: .zero) == BlockSources.withholdingWeighs)
        #expect(sources.isDoubtful(peer(1), now: .zero), "at once")
        #expect(sources.tests(peer(1), now: .zero) == true)
        #expect(sources.tests(peer(1), now: limit / 2) == false, "not for each block")
        #expect(sources.tests(peer(1), now: limit) == true)
    }

    @Test func whoHasLetDownTwiceLatelyIsNotFirst() {
        var sources = BlockSources()
        for time in [0, 10] {
            #expect(!sources.isDoubtful(peer(1), now: .seconds(time)))
            sources.began(block, from: peer(1), now: .seconds(time))
            _ = sources.step(block, bytes: 0, holders: [peer(1), peer(2)], now: .seconds(time + 2))
            sources.ended(block)
        }
        #expect(sources.isDoubtful(peer(1), now: .seconds(13)))
        #expect(!sources.isDoubtful(peer(2), now: .seconds(13)))
        // Nor is it the second choice, while there is a third peer.
        sources.began(block, from: peer(4), now: .seconds(13))
        #expect(
            sources.step(block, bytes: 0, holders: [peer(1), peer(3)], now: .seconds(15))
                == .ask(peer(3), blamed: peer(4), times: 1))
        #expect(!sources.isDoubtful(peer(1), now: .seconds(700)), "forgiven")
    }

    @Test func breakingOffCountsOnce() {
        var sources = BlockSources()
        sources.began(block, from: peer(1), now: .zero)
        #expect(sources.brokeOff(block, peer(2), now: .zero) == 0)
        #expect(sources.brokeOff(block, peer(1), now: .zero) == 1)
        #expect(sources.brokeOff(block, peer(1), now: .zero) == 0)
        #expect(
            sources.step(block, bytes: 0, holders: [peer(2)], now: .seconds(2))
                == .ask(peer(2), blamed: nil, times: 0))
    }

    @Test func fetchesAreBounded() {
        var sources = BlockSources()
        let blocks = (0...BlockSources.fetches).map { Hash.sha256(of: [UInt8($0)]) }
        for block in blocks { sources.began(block, from: peer(1), now: .zero) }
        let left = blocks.filter { sources.step($0, bytes: 0, holders: [], now: .zero) != nil }
        #expect(left == Array(blocks.dropFirst()))
    }
}
