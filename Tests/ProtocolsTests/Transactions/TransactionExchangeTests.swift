import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import Protocols

@Suite struct TransactionExchangeTests {
    /// Two nodes, each with an exchange.
    @ReactorActor
    final class Pair {
        let poolA = Pool()
        let poolB = Pool()
        let network: Network
        let exchangeA: TransactionExchange
        let exchangeB: TransactionExchange

        init(batches: Bool = true) async throws {
            var made: [TransactionExchange] = []
            let (poolA, poolB) = (poolA, poolB)
            network = try await Network { a, b in
                made = [TransactionExchange(a, poolA), TransactionExchange(b, poolB)]
                for exchange in made { exchange.start() }
                if !batches { b.unregister([TransactionBatchProtocol.id]) }
            }
            exchangeA = made[0]
            exchangeB = made[1]
            exchangeA.peerReady(network.b.peerID)
            exchangeB.peerReady(network.a.peerID)
        }

        func stop() async {
            exchangeA.stop()
            exchangeB.stop()
            await network.stop()
        }
    }

    @Test(arguments: [true, false]) func manyTransactionsTravelOnce(batches: Bool) async throws {
        try await Reactor.run {
            let pair = try await Pair(batches: batches)
            let count = batches ? 5000 : 200
            let ids = (0..<count).map { pair.poolA.add("transaction \($0)") }
            pair.exchangeA.announce(ids)
            try await eventually { pair.poolB.received.count >= count }
            if batches {
                #expect(pair.poolB.received == ids, "in order, each once")
                #expect(pair.poolB.batches < count / 2)
            } else {
                #expect(Set(pair.poolB.received) == Set(ids))
                #expect(pair.poolB.received.count == count)
            }
            #expect(pair.exchangeB.inFlight == 0)
            // B does not announce back what it has from A.
            pair.exchangeB.announce(ids)
            pair.exchangeA.announce(ids)
            let last = pair.poolB.add("of B")
            pair.exchangeB.announce([last])
            try await eventually { pair.poolA.received == [last] }
            #expect(pair.poolB.received.count == count)
            await pair.stop()
        }
    }

    @Test func whatNeitherHasToldTheOtherIsLacking() async throws {
        try await Reactor.run {
            let pair = try await Pair()
            let peer = pair.network.b.peerID
            let told = pair.poolA.add("told")
            pair.exchangeA.announce([told])
            try await eventually { pair.poolB.received == [told] }
            let heard = pair.poolB.add("heard")
            pair.exchangeB.announce([heard])
            try await eventually { pair.poolA.received == [heard] }
            // It waits for others before it is announced.
            pair.poolA.patience = .seconds(600)
            let new = pair.poolA.add("new")
            pair.exchangeA.announce([new])
            let old = Hash.sha256(of: [0])
            #expect(pair.exchangeA.lacking([new, told, heard, old, new], peer) == [0, 4])
            #expect(pair.exchangeA.lacking([new], pair.network.a.peerID) == [])
            await pair.stop()
        }
    }

    /// More than the peer requests at once, from a peer that it trusts and from a stranger, new ones or such as waited.
    @Test(arguments: [(true, true), (true, false), (false, true), (false, false)])
    func aBurstBeyondTheWindowArrives(isTrusted: Bool, isNew: Bool) throws {
        try MemoryNetwork.run {
            let pair = try await Pair()
            if isTrusted { pair.poolB.trusted = [pair.network.a.peerID] }
            // New ones of a stranger are held up to its share, those that wait are announced as it takes them.
            let count = isNew && !isTrusted ? 30_000 : 40_000
            let ids = (0..<count).map { pair.poolA.add("transaction \($0)") }
            let start = Reactor.now
            if isNew {
                pair.exchangeA.announce(ids)
            } else {
                pair.poolA.waiting = ids
                pair.exchangeA.tell(pair.network.b.peerID)
            }
            try await eventually { pair.poolB.received.count >= ids.count }
            #expect(Set(pair.poolB.received) == Set(ids))
            #expect(pair.poolB.received.count == ids.count, "each once")
            #expect(Reactor.now - start < .seconds(10), "none waits until it is announced again")
            #expect(pair.exchangeB.inFlight == 0 && pair.exchangeB.waiting.count == 0)
            await pair.stop()
        }
    }

    /// A peer that lost its stream has lost the announcements that it held, and is told again.
    @Test func aNewStreamBeginsWithWhatWaits() throws {
        try MemoryNetwork.run {
            let pair = try await Pair()
            let ids = (0..<20_000).map { pair.poolA.add("transaction \($0)") }
            pair.poolA.waiting = ids
            pair.poolB.onReceive = {
                guard pair.poolB.received.count < 5_000 else { return }
                try? await Reactor.sleep(for: .milliseconds(10))
            }
            pair.exchangeA.tell(pair.network.b.peerID)
            try await eventually { pair.poolB.received.count > 1_000 }
            // Another stream replaces the first, as after a lost connection.
            let other = try await pair.network.stream(TransactionBatchProtocol.id)
            var frame = ByteWriter()
            TransactionFrame.encode(.announce, [ids[0]], to: &frame)
            try await other.write(frame.bytes)
            try await eventually { pair.poolB.transactions.count == ids.count }
            await pair.stop()
        }
    }

    /// A node without room requests nothing, and then what was announced meanwhile.
    @Test func whoHasNoRoomRequestsNothing() throws {
        try MemoryNetwork.run {
            let pair = try await Pair()
            pair.poolB.room = 0
            let ids = (0..<3_000).map { pair.poolA.add("transaction \($0)") }
            pair.exchangeA.announce(ids)
            try await eventually { pair.exchangeB.waiting.count == ids.count }
            try await Reactor.sleep(for: .seconds(100))
            #expect(pair.poolB.received.isEmpty && pair.exchangeB.inFlight == 0)
            var most = 0
            pair.poolB.room = 100
            pair.poolB.onReceive = { most = max(most, pair.exchangeB.inFlight) }
            pair.exchangeB.roomGrew()
            try await eventually { pair.poolB.received.count == ids.count }
            #expect(most <= 100)
            await pair.stop()
        }
    }

    /// Announcements wait for others as long as the node says, and wants do not wait for them.
    @Test func announcementsWaitForOthers() throws {
        try MemoryNetwork.run {
            let pair = try await Pair()
            pair.poolA.patience = .milliseconds(40)
            let start = Reactor.now
            var ids: [Hash] = []
            for number in 0..<4 {
                ids.append(pair.poolA.add("transaction \(number)"))
                pair.exchangeA.announce([ids[number]])
                try await Reactor.sleep(for: .milliseconds(10))
            }
            // The second waits while the peer requests the first ones.
            pair.poolA.patience = .seconds(20)
            try await eventually { pair.poolB.received == ids }
            #expect(pair.poolB.batches == 1)
            let last = pair.poolA.add("last")
            pair.exchangeA.announce([last])
            let more = (0..<TransactionFrame.maxHashes).map { pair.poolA.add("more \($0)") }
            try await Reactor.sleep(for: .seconds(1))
            #expect(!pair.poolB.has(last))
            // A full frame does not wait.
            pair.exchangeA.announce(more)
            try await eventually { pair.poolB.has(last) }
            #expect(Reactor.now - start < .seconds(5))
            await pair.stop()
        }
    }

    @Test func slowNodeIsNotFlooded() async throws {
        try await Reactor.run {
            let pair = try await Pair()
            var largest = 0
            let ids = (0..<3000).map {
                pair.poolA.add("transaction \($0) \(String(repeating: "x", count: 1000))")
            }
            var before = 0
            pair.poolB.onReceive = {
                largest = max(largest, pair.poolB.received.count - before)
                before = pair.poolB.received.count
                try? await Reactor.sleep(for: .milliseconds(2))
            }
            pair.exchangeA.announce(ids)
            try await eventually { pair.poolB.received.count == ids.count }
            #expect(largest <= TransactionListener.maxBatch)
            await pair.stop()
        }
    }

    @Test func unsolicitedContentEndsTheStream() async throws {
        try await Reactor.run {
            let pair = try await Pair()
            let stream = try await pair.network.stream(TransactionBatchProtocol.id)
            var frame = ByteWriter()
            TransactionFrame.encode(content: SharedBytes([1, 2, 3]), to: &frame)
            try await stream.write(frame.bytes)
            stream.setTimeout(.seconds(20))
            await #expect(throws: LibP2PError.streamReset) { _ = try await stream.readToEnd(limit: 10) }
            #expect(pair.poolB.received.isEmpty)
            await pair.stop()
        }
    }

    @Test(
        arguments: [
            [9], [2, 1, 0] + [UInt8](repeating: 7, count: 32), [1, 0, 0], [1, 255, 255], [3, 0, 0, 0, 0],
            [3, 255, 255, 255, 255], [4, 1, 0] + [UInt8](repeating: 7, count: 32),
        ] as [[UInt8]])
    func malformedFrameEndsTheStream(frame: [UInt8]) async throws {
        try await Reactor.run {
            let pair = try await Pair()
            let stream = try await pair.network.stream(TransactionBatchProtocol.id)
            try await stream.write(frame)
            stream.setTimeout(.seconds(20))
            await #expect(throws: LibP2PError.streamReset) { _ = try await stream.readToEnd(limit: 10) }
            await pair.stop()
        }
    }

    @Test func wantedAndGoneIsAskedElsewhere() throws {
        try MemoryNetwork.run {
            let pair = try await Pair()
            // A announces what it no longer has; B then hears of it from A's tx protocol only when another peer had it.
            let id = pair.poolA.add("short-lived")
            pair.exchangeA.announce([id])
            pair.poolA.transactions[id] = nil
            let kept = pair.poolA.add("kept")
            pair.exchangeA.announce([kept])
            try await eventually { pair.poolB.received == [kept] && pair.exchangeB.inFlight == 0 }
            await pair.stop()
        }
    }

    @Test func refusedTransactionEndsTheStream() async throws {
        try await Reactor.run {
            let pair = try await Pair()
            pair.poolB.accepts = false
            pair.exchangeA.announce([pair.poolA.add("bad")])
            try await eventually { pair.poolB.received.count == 1 }
            await pair.stop()
        }
    }
}
