import Bytes
import Chain
import Crypto
import Execution
import LibP2P
import Log
import Mempool
import Metrics
import Multiformats
import Peers
import Protocols
import Reactor
import Storage
import TestSupport
import Testing
import VirtualIO

@testable import Node

/// The required rules for transactions, tested with mempools connected by hosts, in virtual time.
@Suite struct MempoolServiceTests {
    /// A node's mempool and host without a chain.
    @ReactorActor
    final class Station {
        let service: MempoolService
        let host: Host
        let services = ServiceGroup()
        private let directory: TemporaryDirectory

        init(
            _ seed: UInt8, _ genesis: Genesis, parameters: NetworkParameters? = nil, file: MempoolFile? = nil
        ) async throws {
            directory = try TemporaryDirectory()
            let key = try MempoolServiceTests.key(seed)
            host = Host(
                HostConfiguration(identity: key, listenAddresses: [try Multiaddr("/ip4/127.0.0.1/tcp/0")]))
            let application = NoopApplication()
            try application.initialize(genesis)
            var observer = NodeObserver()
            observer.brokenInvariant = { Issue.record("\($0)") }
            let store = try BlockStore(directory: directory.path)
            let context = NodeContext(
                genesis: genesis, key: key, configuration: Configuration(), host: host,
                store: store, chain: ChainReader(store),
                votes: try VoteLog(directory: directory.path),
                application: application, log: .silent, metrics: NodeMetrics(MetricsRegistry()),
                consensus: Worker(name: "consensus", capacity: 8),
                execution: Worker(name: "execution", capacity: 8),
                storage: Worker(name: "storage", capacity: 8),
                indexing: Worker(name: "index", capacity: 8), mempool: Worker(name: "mempool", capacity: 8),
                checks: Worker(name: "checks", capacity: 8, kind: .pool(threads: 4)),
                serving: Worker(name: "serving", capacity: 8),
                blocks: Worker(name: "blocks", capacity: 8),
                accounts: Worker(name: "accounts", capacity: 8),
                queries: InProcessQueries(application, Worker(name: "queries", capacity: 8)),
                wallClock: { 1_000_000_000 }, observer: observer, traces: NodeTraces(),
                stateInterval: 512, takesCompactProposals: true, mempoolFile: file)
            let parameters = parameters ?? genesis.parameters
            let gate = PeerGate(
                rules: PeerRules(own: host.peerID), log: .silent, wallClock: context.wallClock,
                onBrokenInvariant: nil)
            let peers = PeerService(
                host: host, gate: gate, genesis: genesis,
                membership: Membership(role: .sentry, leader: nil, validators: []), log: .silent)
            service = MempoolService(
                context, peers, MempoolService.Rules(isLeader: false, parameters: parameters))
            host.observe { [weak service] event in
                switch event {
                case .identified(let peer, _): service?.peerReady(peer)
                case .disconnected(let peer, _): service?.peerLeft(peer)
                default: break
                }
            }
            try await services.start([service, host])
        }

        func connect(_ other: Station) async throws {
            guard let address = other.host.listenAddresses.first else { return }
            _ = try await host.connect(address.appending(.p2p(other.host.peerID)))
            try await Reactor.sleep(for: .seconds(1))
        }

        func submit(_ transaction: Transaction) async throws {
            _ = try await service.submit([transaction.bytes])[0].get()
        }

        func has(_ transaction: Transaction) async -> Bool { await service.waiting(transaction.id) != nil }

        /// Returns which of these are unconfirmed.
        func has(_ transactions: [Transaction]) async -> [Bool] {
            let found = await service.checked(transactions.map(\.id))
            return transactions.map { found[$0.id] != nil }
        }

        func lead(_ genesis: Genesis) {
            service.follow(MempoolService.Rules(isLeader: true, parameters: genesis.parameters))
        }

        func stop() async { await services.stop() }
    }

    nonisolated static func key(_ seed: UInt8) throws -> PrivateKey {
        try TestChain.key(seed)
    }

    private static func genesis() throws -> Genesis {
        let leader = try key(1).publicKey
        let rich = Genesis.Allocation(account: AccountID(try key(50).publicKey), amount: 100)
        return Genesis(
            chainID: "stations", validators: ValidatorSet([Validator(key: leader, power: 1)]),
            allocations: [rich], parameters: NetworkParameters(leader: leader))
    }

    private static func transaction(
        _ sender: UInt8 = 50, _ nonce: UInt64, fee: Amount = 0, size: Int = 10
    ) throws -> Transaction {
        try Transaction.signed(
            TransactionBody(
                payload: SharedBytes([UInt8](repeating: 1, count: size)), payloadType: "test", fee: fee,
                nonce: nonce, chainID: "stations"), by: key(sender))
    }

    /// Runs `body` with a row of stations, each connected to the next.
    private func withStations(
        _ count: UInt8, parameters: NetworkParameters? = nil,
        _ body: @escaping @ReactorActor @Sendable ([Station]) async throws -> Void
    ) throws {
        try MemoryNetwork.run {
            let genesis = try Self.genesis()
            var stations: [Station] = []
            for seed in 1...count {
                stations.append(try await Station(seed, genesis, parameters: parameters))
            }
            for (one, next) in zip(stations, stations.dropFirst()) { try await one.connect(next) }
            try await body(stations)
            for station in stations { await station.stop() }
        }
    }

    @Test func whatIsFetchedAndCheckedIsPassedOn() throws {
        try withStations(4) { stations in
            let transactions = try (1...20).map { try Self.transaction(50, $0) }
            for transaction in transactions { try await stations[0].submit(transaction) }
            try await Reactor.sleep(for: .seconds(2))
            for station in stations { #expect(await !station.has(transactions).contains(false)) }
        }
    }

    @Test func theLeaderAnnouncesItsOwnOnly() throws {
        try withStations(3) { stations in
            stations[1].lead(try Self.genesis())
            let (foreign, own) = (try Self.transaction(50, 1), try Self.transaction(51, 1))
            try await stations[0].submit(foreign)
            try await stations[1].submit(own)
            // Not with the repeated announcements either, nor to a late peer.
            let late = try await Station(9, try Self.genesis())
            try await late.connect(stations[1])
            try await Reactor.sleep(for: .seconds(3000))
            #expect(await stations[1].has(foreign))
            for station in [stations[2], late] {
                #expect(await station.has([foreign, own]) == [false, true])
            }
            await late.stop()
        }
    }

    @Test func forgeriesGoNowhereAndEndTheStream() throws {
        try withStations(2) { stations in
            let source = Forger()
            let host = Host(
                HostConfiguration(
                    identity: try Self.key(8), listenAddresses: [try Multiaddr("/ip4/127.0.0.1/tcp/0")]))
            let exchange = TransactionExchange(host, source)
            exchange.start()
            try host.start()
            let address = try #require(stations[0].host.listenAddresses.first)
            _ = try await host.connect(address.appending(.p2p(stations[0].host.peerID)))
            try await Reactor.sleep(for: .seconds(1))
            var bytes = try Self.transaction(50, 1).bytes.array
            bytes[5] ^= 1
            let forged = SharedBytes(bytes)
            let id = Hash.sha256(of: forged)
            source.transactions[id] = forged
            exchange.peerReady(stations[0].host.peerID)
            exchange.announce([id])
            try await Reactor.sleep(for: .seconds(5))
            #expect(source.served == 1)
            // It is not fetched again when it is announced again.
            exchange.announce([id])
            try await Reactor.sleep(for: .seconds(5))
            #expect(source.served == 1)
            for station in stations { #expect(station.service.contents.count == 0) }
            exchange.stop()
            await host.stop()
        }
    }

    @Test func whatWaitsIsAnnouncedAgainLessAndLessOften() throws {
        try withStations(2) { stations in
            let transaction = try Self.transaction(50, 1)
            try await stations[0].submit(transaction)
            try await Reactor.sleep(for: .seconds(1))
            #expect(await stations[1].has(transaction))
            // A transaction that the other drops returns with the next announcement: after 30 s, then 60, then 120.
            for interval in [30, 60, 120] {
                stations[1].service.drop([transaction.id])
                try await Reactor.sleep(for: .seconds(interval - 2))
                #expect(await !stations[1].has(transaction))
                try await Reactor.sleep(for: .seconds(2))
                #expect(await stations[1].has(transaction), "after \(interval) s")
            }
            // No block includes it: it is dropped and does not return.
            try await Reactor.sleep(for: .seconds(4000))
            for station in stations { #expect(station.service.contents.count == 0) }
        }
    }

    @Test func aPeerThatComesIsToldOfWhatWaits() throws {
        try withStations(1) { stations in
            let transactions = try (1...5).map { try Self.transaction(50, $0) }
            for transaction in transactions { try await stations[0].submit(transaction) }
            try await Reactor.sleep(for: .seconds(2))
            let late = try await Station(9, try Self.genesis())
            try await late.connect(stations[0])
            try await Reactor.sleep(for: .seconds(1))
            #expect(await !late.has(transactions).contains(false))
            await late.stop()
        }
    }

    @Test func aBlockTakesOutWhatItHoldsAndWhatItMakesImpossible() throws {
        var parameters = NetworkParameters(leader: try Self.key(1).publicKey)
        parameters.disabledGasCosts = false
        try withStations(1, parameters: parameters) { stations in
            let service = stations[0].service
            let account = AccountID(try Self.key(50).publicKey)
            let fees: [Amount] = [10, 20, 60, 5]
            let transactions = try fees.enumerated().map { index, fee in
                try Self.transaction(50, UInt64(index + 1), fee: fee)
            }
            for transaction in transactions { try await stations[0].submit(transaction) }
            let poor = try Self.transaction(50, 5, fee: 101)
            await #expect(throws: MempoolError.insufficientBalance) { try await stations[0].submit(poor) }
            let stranger = try Self.transaction(51, 1, fee: 1)
            await #expect(throws: MempoolError.insufficientBalance) {
                try await stations[0].submit(stranger)
            }
            // The first was committed, and the remaining balance does not cover the third.
            service.committed(
                [transactions[0].id], [.init(id: account, nonce: 1, balance: 50)])
            #expect(await stations[0].has(transactions) == [false, true, false, true])
            #expect(service.contents.readyCount == 1)
            // Another transaction with the second's nonce was committed.
            service.committed([.zero], [.init(id: account, nonce: 2, balance: 30)])
            #expect(await stations[0].has(transactions) == [false, false, false, true])
            await #expect(throws: MempoolError.nonceTooLow(expected: 3)) {
                try await stations[0].submit(transactions[1])
            }
        }
    }

    @Test func eachOfManyHasItsOwnOutcome() throws {
        try withStations(1) { stations in
            let known = try Self.transaction(50, 1)
            try await stations[0].submit(known)
            let (first, second) = (try Self.transaction(51, 1), try Self.transaction(52, 1))
            var forged = Array(first.bytes.array)
            forged[10] ^= 1
            let outcomes = await stations[0].service.submit(
                [known, first, first, second].map(\.bytes) + [SharedBytes(forged)])
            #expect(outcomes.count == 5)
            #expect(outcomes.map { (try? $0.get())?.id } == [nil, first.id, nil, second.id, nil])
            for place in [0, 2] {
                #expect(throws: MempoolError.duplicate) { try outcomes[place].get() }
            }
            #expect(stations[0].service.contents.count == 3)
            #expect(await stations[0].service.submit([]).isEmpty)
        }
    }

    /// Far more transactions than the queues hold: the callers are suspended, and each gets its outcome.
    @Test func fullQueuesLoseNothing() throws {
        try withStations(1) { stations in
            let service = stations[0].service
            var kept = 0
            for sender in 100..<200 as Range<UInt8> {
                Reactor.spawn {
                    guard let transaction = try? Self.transaction(sender, 1),
                        case .success = await service.submit([transaction.bytes])[0]
                    else { return }
                    kept += 1
                }
            }
            try await Reactor.sleep(for: .seconds(1))
            #expect(kept == 100)
            #expect(service.contents.readyCount == 100)
            #expect(service.driver.peakDepth <= service.driver.capacity)
            #expect(await service.propose(maxBytes: .max).count == 100)
        }
    }

    /// A client's transaction from before a restart stays its own even if a peer sends it first.
    @Test func aClientsTransactionStaysItsOwn() throws {
        let directory = try TemporaryDirectory()
        try MemoryNetwork.run {
            let genesis = try Self.genesis()
            let file = MempoolFile(path: "\(directory.path)/mempool", genesis: genesis.hash, limit: 1 << 20)
            let (own, others) = (try Self.transaction(50, 1), try Self.transaction(51, 1))
            let entries = [(true, own), (false, others)]
            _ = try file.write(entries.map { .init(isOwn: $0.0, bytes: $0.1.bytes) })
            let station = try await Station(1, genesis, file: file)
            let peer = try Self.key(2).publicKey.peerID
            let brought = [own, others].map { (id: $0.id, bytes: $0.bytes) }
            #expect(await station.service.receive(brought, from: peer))
            try await Reactor.sleep(for: .seconds(1))
            await station.stop()
            let kept = try file.read()
            #expect(kept.map(\.isOwn) == [true, false])
            #expect(kept.map(\.bytes) == [own.bytes, others.bytes])
        }
    }

    @Test func aTransactionThatNoBlockHoldsIsRefused() throws {
        var parameters = NetworkParameters(leader: try Self.key(1).publicKey)
        parameters.maxBlockSize = 1000
        try withStations(1, parameters: parameters) { stations in
            try await stations[0].submit(try Self.transaction(50, 1, size: 500))
            let large = try Self.transaction(50, 2, size: 1000)
            await #expect(throws: MempoolError.tooLarge(count: large.bytes.count, limit: 1000)) {
                try await stations[0].submit(large)
            }
        }
    }

    @Test func aNodeThatCatchesUpNeitherFetchesNorPassesOn() throws {
        try withStations(3) { stations in
            let middle = stations[1]
            let before = try Self.transaction(50, 1)
            try await middle.submit(before)
            try await Reactor.sleep(for: .seconds(1))
            middle.service.syncing(true)
            middle.service.advanced(to: 1_000)
            for station in [stations[0], stations[2]] { station.service.drop([before.id]) }
            let (during, own) = (try Self.transaction(51, 1), try Self.transaction(52, 1))
            try await stations[0].submit(during)
            try await middle.submit(own)
            let late = try await Station(9, try Self.genesis())
            try await late.connect(middle)
            // Old blocks arrive.
            for _ in 0..<10 {
                try await Reactor.sleep(for: .seconds(10))
                middle.service.advanced(to: 1_000)
            }
            let all = [before, during, own]
            #expect(await middle.has(all) == [true, false, true])
            #expect(await stations[0].has(all) == [false, true, true], "its own clients' at once")
            #expect(await stations[2].has(all) == [false, false, true])
            #expect(await !late.has(before))

            middle.service.syncing(false)
            try await Reactor.sleep(for: .seconds(5))
            for station in stations + [late] { #expect(await station.has(all) == [true, true, true]) }
            await late.stop()
        }
    }

    @Test func claimsOfHeightsDoNotKeepTransactionsAway() throws {
        try withStations(2) { stations in
            let transaction = try Self.transaction(50, 1)
            stations[1].service.syncing(true)
            try await stations[0].submit(transaction)
            // No block has arrived, so claims of heights are not believed.
            try await Reactor.sleep(for: .seconds(2))
            #expect(await stations[1].has(transaction))
        }
    }

    /// A full mempool fetches nothing, and what was announced meanwhile when there is room. It takes clients' transactions of
    /// senders that have less than others.
    @Test func aFullMempoolFetchesWhenThereIsRoom() throws {
        try withStations(2) { stations in
            let (source, full) = (stations[0], stations[1])
            var limits = Configuration().mempool
            limits.maxTransactions = 100
            full.service.follow(limits)
            let all = try (1...300).map { try Self.transaction(50, $0) }
            for transaction in all { try await source.submit(transaction) }
            try await Reactor.sleep(for: .seconds(5))
            #expect(full.service.contents.count == 100)
            let refusals = full.service.context.metrics.refused[.full].value
            #expect(refusals <= UInt64(MempoolService.batch), "those that were on their way: \(refusals)")
            // Announced again: 30 seconds after they came.
            try await Reactor.sleep(for: .seconds(40))
            #expect(full.service.context.metrics.refused[.full].value == refusals)
            #expect(full.service.contents.count == 100)
            // A client with little is not kept out, one with much is refused before its signature is checked.
            try await full.submit(try Self.transaction(51, 1))
            #expect(full.service.context.metrics.dropped[.crowdedOut].value == 1)
            let next = try Self.transaction(50, 100)
            var forged = next.bytes.array
            let place = try #require(
                forged.indices.first { forged[$0...].starts(with: next.signature.array) })
            forged[place] ^= 1
            let outcome = await full.service.submit([SharedBytes(forged)])[0]
            #expect(throws: MempoolError.full) { try outcome.get() }
            // Blocks make room, and the rest comes without another announcement.
            for station in stations {
                station.service.committed(
                    all[..<99].map(\.id),
                    [.init(id: AccountID(try Self.key(50).publicKey), nonce: 99, balance: 0)])
            }
            try await Reactor.sleep(for: .seconds(5))
            #expect(full.service.contents.count == 100)
            #expect(await full.has(all[120]))
        }
    }

    /// A source that serves any transaction it was given.
    @ReactorActor
    final class Forger: TransactionSource {
        var transactions: [Hash: SharedBytes] = [:]
        var served = 0
        let transactionLimit = 1 << 20
        let room = Int.max
        let patience = Duration.zero

        func wanted(_ ids: [Hash]) async -> [Hash] { ids }
        func trusts(_ peer: PeerID) -> Bool { false }
        func follows(_ peer: PeerID) -> Bool { false }
        func transactions(_ ids: [Hash], bytes limit: Int) async -> [SharedBytes?] {
            served += ids.count
            return ids.map { transactions[$0] }
        }
        func backlog(
            for peer: PeerID, isFirst: Bool, most: Int
        ) async -> (ids: [Hash], isLast: Bool) { ([], true) }
        func receive(_ transactions: [(id: Hash, bytes: SharedBytes)], from peer: PeerID) async -> Bool {
            false
        }
    }
}
