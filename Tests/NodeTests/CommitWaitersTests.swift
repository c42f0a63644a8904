import Chain
import Crypto
import Reactor
import TestSupport
import Testing
import VirtualIO

@testable import Mempool
@testable import Node

@Suite struct CommitWaitersTests {
    @Test func eachWaitsForItself() throws {
        try MemoryNetwork.run {
            let key = try TestChain.key(1)
            let transactions = try (1...3).map {
                try Transaction.signed(TransactionBody(.validatorLeave, nonce: $0, chainID: "c"), by: key)
            }
            let waiters = CommitWaiters()
            var ended: [String] = []
            let wait: @ReactorActor (String, Int, Duration) -> Void = { name, index, timeout in
                Reactor.spawn {
                    let result = await waiters.wait(for: transactions[index].id, timeout: timeout)
                    let text =
                        switch result {
                        case .committed(let result): "\(result.code)"
                        case .lost(let reason): "\(reason)"
                        case nil: "none"
                        }
                    ended.append("\(name) \(text) \(Reactor.now)")
                }
            }
            wait("short", 0, .seconds(5))
            wait("long", 0, .seconds(50))
            wait("other", 1, .seconds(50))
            wait("lost", 2, .seconds(50))
            try await Reactor.sleep(for: .seconds(10))
            waiters.committed([transactions[0]], [TransactionResult(.invalidNonce)])
            waiters.lost(Loss(id: transactions[2].id, isOwn: true, reason: .crowdedOut))
            try await Reactor.sleep(for: .seconds(10))
            waiters.stop()
            try await Reactor.sleep(for: .seconds(100))
            #expect(
                ended == [
                    "short none 5.0 seconds", "long 4 10.0 seconds", "lost crowdedOut 10.0 seconds",
                    "other none 20.0 seconds",
                ])
        }
    }

    @Test func whoIsCancelledWaitsNoLonger() throws {
        try MemoryNetwork.run {
            let waiters = CommitWaiters()
            var ended: [Duration] = []
            let tasks = (1...3).map { _ in
                Reactor.spawn {
                    let result = await waiters.wait(for: .sha256(of: [1]), timeout: .seconds(50))
                    #expect(result.map { "\($0)" } == nil)
                    ended.append(Reactor.now)
                }
            }
            tasks[0].cancel()
            try await Reactor.sleep(for: .seconds(10))
            tasks[1].cancel()
            try await Reactor.sleep(for: .seconds(1))
            #expect(ended == [.zero, .seconds(10)])
            #expect(waiters.transactions == 1)
            waiters.stop()
        }
    }
}
