import LibP2P
import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import Protocols

/// Long transactions among four nodes that are connected to each other.
@Suite struct LongTransactionTests {
    @ReactorActor
    final class Mesh {
        private(set) var hosts: [Host] = []
        private(set) var pools: [Pool] = []
        private(set) var exchanges: [TransactionExchange] = []

        /// Each node trusts the others, and passes on what it has received if `passesOn` of its number.
        init(passesOn: @escaping (Int) -> Bool = { _ in true }) async throws {
            for number in 0..<4 {
                let (host, pool) = (try Network.host(UInt8(number + 1), []), Pool())
                let exchange = TransactionExchange(host, pool)
                exchange.start()
                try host.start()
                hosts.append(host)
                pools.append(pool)
                exchanges.append(exchange)
                if number > 0, passesOn(number) {
                    pool.onReceive = { exchange.announce(pool.received) }
                }
            }
            for (number, host) in hosts.enumerated() {
                pools[number].trusted = Set(hosts.map(\.peerID))
                for other in hosts[..<number] {
                    let address = try #require(other.listenAddresses.first).appending(.p2p(other.peerID))
                    _ = try await host.connect(address)
                    try await eventually {
                        host.identity(of: other.peerID) != nil && other.identity(of: host.peerID) != nil
                    }
                }
            }
            for (number, exchange) in exchanges.enumerated() {
                for other in hosts where other !== hosts[number] { exchange.peerReady(other.peerID) }
            }
        }

        /// Gives the first node transactions and waits until all others have them. Returns how long that took.
        func spread(_ count: Int) async throws -> Duration {
            let text = String(repeating: "x", count: 20_000)
            let ids = (0..<count).map { pools[0].add("\($0) \(text)") }
            let start = Reactor.now
            exchanges[0].spread(ids)
            try await eventually { pools[1...].allSatisfy { $0.received.count >= count } }
            return Reactor.now - start
        }

        func stop() async {
            for exchange in exchanges { exchange.stop() }
            for host in hosts { await host.stop() }
        }
    }

    @Test func eachLeavesTheFirstNodeOnce() throws {
        try MemoryNetwork.run(latency: .milliseconds(10)) {
            let mesh = try await Mesh()
            let time = try await mesh.spread(30)
            #expect(time < TransactionSpreading.patience, "nobody waits for a second announcement")
            try await Reactor.sleep(for: .seconds(3))
            #expect(mesh.pools[0].looks == 30)
            #expect(mesh.pools[1...].allSatisfy { $0.received.count == 30 }, "each once")
            #expect(mesh.exchanges[0].told.count == 0)
            await mesh.stop()
        }
    }

    /// A proposal does not carry them to the peers to which another passes them on.
    @Test func whatIsBeingPassedOnIsNotLacking() throws {
        try MemoryNetwork.run(latency: .milliseconds(10)) {
            let mesh = try await Mesh(passesOn: { _ in false })
            let ids = (0..<3).map { mesh.pools[0].add("\($0)") }
            // They wait for others before they are announced.
            mesh.pools[0].patience = .seconds(600)
            mesh.exchanges[0].spread(ids)
            for other in mesh.hosts[1...] {
                #expect(mesh.exchanges[0].lacking(ids, other.peerID) == [])
            }
            await mesh.stop()
        }
    }

    /// The leader passes nothing on, and hears of everything at once.
    @Test func theLeaderIsToldAtOnce() throws {
        try MemoryNetwork.run(latency: .milliseconds(10)) {
            let mesh = try await Mesh(passesOn: { $0 != 3 })
            mesh.pools[0].leader = mesh.hosts[3].peerID
            #expect(try await mesh.spread(30) < TransactionSpreading.patience)
            #expect(mesh.pools[0].looks >= 30)
            await mesh.stop()
        }
    }

    @Test func aPeerThatPassesNothingOnDelaysLittle() throws {
        try MemoryNetwork.run(latency: .milliseconds(10)) {
            let mesh = try await Mesh(passesOn: { $0 != 2 })
            let time = try await mesh.spread(30)
            #expect(time > TransactionSpreading.patience && time < .seconds(2))
            #expect(mesh.pools[0].looks == 50, "a third of them goes to each")
            await mesh.stop()
        }
    }

    /// Whoever announces what it cannot deliver is doubted.
    @Test func whatWasDroppedMeanwhileIsNotToldToOthers() throws {
        try MemoryNetwork.run(latency: .milliseconds(10)) {
            let mesh = try await Mesh(passesOn: { _ in false })
            let ids = (0..<3).map { mesh.pools[0].add("\($0)") }
            mesh.exchanges[0].spread(ids)
            try await Reactor.sleep(for: .milliseconds(500))
            #expect(mesh.pools[0].looks == 3)
            for id in ids { mesh.pools[0].transactions[id] = nil }
            try await Reactor.sleep(for: .seconds(3))
            #expect(mesh.exchanges[0].told.count == 0)
            #expect(mesh.pools[0].looks == 3, "nobody else requests them")
            await mesh.stop()
        }
    }

    @Test func aPeerThatLeavesDelaysLess() throws {
        try MemoryNetwork.run(latency: .milliseconds(10)) {
            let mesh = try await Mesh()
            let ids = (0..<9).map { mesh.pools[0].add("\($0)") }
            mesh.exchanges[0].spread(ids)
            mesh.exchanges[0].peerLeft(mesh.hosts[2].peerID)
            let start = Reactor.now
            try await eventually {
                [1, 3].allSatisfy { mesh.pools[$0].received.count == ids.count }
            }
            #expect(Reactor.now - start < TransactionSpreading.patience)
            await mesh.stop()
        }
    }
}
