import Bytes
import Chain
import Crypto
import Multiformats
import Reactor
import Testing

@testable import Mempool

/// Tables of the mempool's events and the resulting actions.
@Suite struct MempoolTests {
    typealias Action = Mempool.Action

    /// The sender of transactions.
    private enum Source {
        case client, peer
    }

    /// A mempool whose invariants hold after every event.
    private struct Script {
        var mempool: Mempool
        var now = Duration.zero
        /// What was dropped against the clients' wishes.
        private(set) var losses: [Loss] = []
        /// The wall clock at the start, in milliseconds since 1970.
        let epoch: UInt64 = 1_000_000_000

        init(_ limits: MempoolLimits = MempoolLimits(), isLeader: Bool = false, isFree: Bool = true) throws {
            mempool = Mempool(limits)
            #expect(try send(.rules(isLeader: isLeader, isFree: isFree)) == [])
        }

        private var instant: Instant {
            Instant(elapsed: now, wallClock: epoch + UInt64(now.components.seconds) * 1000)
        }

        /// Returns the actions for an event, without changes of the contents.
        mutating func send(_ event: Mempool.Event) throws -> [Action] {
            var actions: [Action] = []
            mempool.handle(event, at: instant, actions: &actions)
            try mempool.checkInvariants()
            return told(actions)
        }

        /// Makes transactions arrive, be checked and admitted, except those that are not worth a check.
        mutating func bring(
            _ transactions: [Transaction], from source: Source, mined: Set<Hash> = [],
            balance: Amount = 0, refusing refusal: MempoolError? = nil
        ) throws -> (outcomes: [MempoolError?], actions: [Action]) {
            let ids = transactions.map(\.id)
            let begun = source == .peer ? mempool.begin(ids) { mined.contains($0) } : Array(ids.indices)
            try mempool.checkInvariants()
            let checked = begun.map { index in
                CheckedTransaction(
                    ids[index], isOwn: source == .client,
                    refusal.map { .failure($0) } ?? .success(transactions[index]), balance: balance)
            }
            var actions: [Action] = []
            let outcomes = mempool.admit(
                checked, isMined: { mined.contains($0) }, at: instant, actions: &actions)
            try mempool.checkInvariants()
            return (outcomes.map { if case .failure(let error) = $0 { error } else { nil } }, told(actions))
        }

        /// Sends `timer` at each deadline until `time`, and returns the announcements with their times.
        mutating func run(to time: Duration) throws -> [(second: Int64, ids: [Hash])] {
            var announced: [(Int64, [Hash])] = []
            while let deadline = mempool.deadline, deadline <= time {
                now = max(now, deadline)
                for case .announce(let ids) in try send(.timer) {
                    announced.append((now.components.seconds, ids))
                }
                try #require(mempool.deadline != deadline, "time stands still")
            }
            now = time
            return announced
        }

        /// Returns what a peer is told from the beginning, in portions.
        mutating func backlog(for peer: PeerID, portion: Int = 2) -> [Hash] {
            var (told, isLast) = mempool.backlog(for: peer, isFirst: true, most: portion)
            while !isLast {
                let next = mempool.backlog(for: peer, isFirst: false, most: portion)
                told += next.ids
                isLast = next.isLast
            }
            return told
        }

        private mutating func told(_ actions: [Action]) -> [Action] {
            let news = actions.compactMap { if case .changed(let contents) = $0 { contents } else { nil } }
            if let last = news.last { #expect(last == mempool.contents) }
            for case .lost(let lost) in actions { losses += lost }
            return actions.filter {
                switch $0 {
                case .changed, .lost: false
                default: true
                }
            }
        }
    }

    private static func transactions(_ sender: UInt8, _ nonces: ClosedRange<UInt64>) throws -> [Transaction] {
        try nonces.map { try TransactionPoolTests.transaction(sender, $0) }
    }

    private static func peer(_ seed: UInt8) -> PeerID { TransactionPoolTests.key(seed).publicKey.peerID }

    @Test func whatIsKeptIsAnnouncedOnce() throws {
        var script = try Script()
        let all = try Self.transactions(1, 1...3)
        let (outcomes, actions) = try script.bring(all, from: .peer)
        #expect(outcomes == [nil, nil, nil])
        #expect(actions == [.announce(all.map(\.id))])
        #expect(script.mempool.contents.readyCount == 3)
        let again = try script.bring(all, from: .peer)
        #expect(again.outcomes.isEmpty && again.actions.isEmpty)
    }

    /// Ready transactions and others.
    @Test func aBlockIsSuppliedWithWhatWaits() throws {
        var script = try Script()
        let all = try Self.transactions(1, 1...4)
        _ = try script.bring([all[0], all[1], all[3]] + Self.transactions(2, 1...3), from: .peer)
        let header = BlockHeader(
            height: 1, transactionCount: 4, previousHash: .zero, previousAppHash: .zero,
            validatorSetHash: .zero, networkParametersHash: .zero, timestamp: 0, merkleRoot: .zero)
        var assembly = try BlockAssembly(
            header, signature: SharedBytes(), shortIDs: ShortIDs(of: all.map(\.id), in: header.hash),
            prefilled: SharedBytes())
        script.mempool.supply(&assembly)
        #expect(assembly.missingPlaces.places == [2])
        #expect(script.mempool.contents.count == 6)
    }

    /// IDs are wanted or not before, during and after a transaction's check.
    @Test func onlyTheUnknownIsWanted() throws {
        var script = try Script()
        let ids = try Self.transactions(1, 1...4).map(\.id)
        let wanted = { (script: Script) in script.mempool.wanted(ids) { $0 == ids[3] } }
        #expect(wanted(script) == Array(ids[..<3]), "the last was mined")
        #expect(script.mempool.begin(ids + ids) { $0 == ids[3] } == [0, 1, 2])
        #expect(wanted(script) == [])
        var actions: [Action] = []
        _ = script.mempool.admit(
            [
                CheckedTransaction(ids[0], isOwn: false, .success(try Self.transactions(1, 1...1)[0])),
                CheckedTransaction(ids[1], isOwn: false, .failure(.full)),
                CheckedTransaction(ids[2], isOwn: false, .failure(.refused(.invalidSignature))),
            ], isMined: { _ in false }, at: Instant(elapsed: .zero, wallClock: 0), actions: &actions)
        try script.mempool.checkInvariants()
        #expect(wanted(script) == [ids[1]], "what only had no room is worth another try")
    }

    @Test func aClientLearnsWhyItsTransactionIsRefused() throws {
        var script = try Script()
        let bad = try Self.transactions(1, 1...1)
        let refusal = MempoolError.refused(.invalidSignature)
        #expect(try script.bring(bad, from: .peer, refusing: refusal).outcomes == [refusal])
        #expect(try script.bring(bad, from: .peer).outcomes == [], "it is not checked again")
        #expect(try script.bring(bad, from: .client, refusing: refusal).outcomes == [refusal])
    }

    @Test func refusalsAreForgottenInTime() throws {
        var script = try Script()
        let ids = (0...Mempool.rememberedRefusals).map { Hash.sha256(of: Array("\($0)".utf8)) }
        var actions: [Action] = []
        _ = script.mempool.admit(
            ids.map { CheckedTransaction($0, isOwn: false, .failure(.tooLarge(count: 2, limit: 1))) },
            isMined: { _ in false }, at: Instant(elapsed: .zero, wallClock: 0), actions: &actions)
        try script.mempool.checkInvariants()
        #expect(script.mempool.wanted(ids) { _ in false } == Array(ids[..<(Mempool.rememberedRefusals / 2)]))
    }

    /// Clients' long transactions are passed on by peers, except when they are announced again.
    @Test(arguments: [true, false]) func longOnesOfClientsAreSpread(isLeader: Bool) throws {
        var script = try Script(isLeader: isLeader)
        let long = try TransactionPoolTests.transaction(1, 1, size: Mempool.longTransaction)
        let short = try Self.transactions(2, 1...1)
        #expect(
            try script.bring(short + [long], from: .client).actions == [
                .announce(short.map(\.id)), .spread([long.id]),
            ])
        #expect(try script.run(to: .seconds(31)).flatMap(\.ids).contains(long.id))
        let other = try TransactionPoolTests.transaction(3, 1, size: Mempool.longTransaction)
        #expect(try script.bring([other], from: .peer).actions == (isLeader ? [] : [.announce([other.id])]))
    }

    @Test func theLeaderAnnouncesItsOwn() throws {
        var script = try Script(isLeader: true)
        let (own, foreign) = (try Self.transactions(1, 1...1), try Self.transactions(2, 1...1))
        #expect(try script.bring(foreign, from: .peer).actions == [])
        #expect(try script.bring(own, from: .client).actions == [.announce(own.map(\.id))])
        #expect(try script.send(.peerReady(Self.peer(9))) == [.tell(Self.peer(9))])
        #expect(script.backlog(for: Self.peer(9)) == own.map(\.id))
        #expect(try script.run(to: .seconds(31)).map(\.ids) == [own.map(\.id)])
        // A client's transaction counts as such even if a peer was first, while it waits and while it is checked.
        #expect(try script.bring(foreign, from: .client).outcomes == [.duplicate])
        #expect(try script.run(to: .seconds(91)).map(\.ids) == [(foreign + own).map(\.id)])
        let late = try Self.transactions(3, 1...1)
        #expect(script.mempool.begin([late[0].id]) { _ in false } == [0])
        #expect(try script.bring(late, from: .client).outcomes == [nil])
        #expect(script.mempool.all.last?.isOwn == true)
        #expect(try script.bring(late, from: .client, mined: [late[0].id]).outcomes == [.duplicate])
        // It no longer leads: everything is relayed.
        #expect(try script.send(.rules(isLeader: false, isFree: true)) == [])
        #expect(try script.send(.peerReady(Self.peer(9))) == [.tell(Self.peer(9))])
        #expect(script.backlog(for: Self.peer(9)) == (foreign + own + late).map(\.id))
    }

    /// Whatever happens to the mempool between two portions.
    @Test func aPeerIsToldOfEverythingThatStays() throws {
        var script = try Script()
        let peer = Self.peer(9)
        let all = try Self.transactions(1, 1...6)
        _ = try script.bring(all, from: .peer)
        _ = try script.send(.peerReady(peer))
        func next(_ most: Int, isFirst: Bool = false) -> (ids: [Hash], isLast: Bool) {
            script.mempool.backlog(for: peer, isFirst: isFirst, most: most)
        }
        #expect(next(2, isFirst: true).ids == all[..<2].map(\.id))
        // What it has been told of is mined, and so is the next.
        let mined = all[..<3].map(\.id)
        _ = try script.send(
            .committed(mined, [.init(id: TransactionPoolTests.account(1), nonce: 3, balance: 0)]))
        let new = try Self.transactions(2, 1...1)
        _ = try script.bring(new, from: .peer)
        #expect(next(1).ids == [all[3].id])
        _ = try script.send(.dropped([all[5].id]))
        let (ids, isLast) = next(10)
        #expect(ids == [all[4].id], "what has come meanwhile was announced then")
        #expect(isLast)
        #expect(next(10).ids == [])
        #expect(script.backlog(for: peer) == (all[3...4] + new).map(\.id))
        _ = script.mempool.backlog(for: peer, isFirst: true, most: 1)
        _ = try script.send(.peerLeft(peer))
        #expect(script.backlog(for: peer) == [], "it has left")
    }

    @Test func whatWaitsIsAnnouncedAgainAndDroppedInTheEnd() throws {
        var limits = MempoolLimits()
        limits.lifetime = .seconds(500)
        var script = try Script(limits)
        let all = try Self.transactions(1, 1...2)
        _ = try script.bring(all, from: .peer)
        #expect(try script.run(to: .seconds(400)).map(\.second) == [30, 90, 210])
        #expect(script.mempool.contents.count == 2)
        _ = try script.run(to: .seconds(600))
        #expect(script.mempool.contents.count == 0 && script.mempool.contents.bytes == 0)
        #expect(script.mempool.deadline == nil)
        #expect(script.losses == all.map { Loss(id: $0.id, isOwn: false, reason: .expired) })
    }

    /// More transactions than one run of upkeep takes are announced a tenth of a second apart; new ones do not change
    /// that.
    @Test func manyAreAnnouncedAgainBitByBit() throws {
        var script = try Script()
        _ = try script.bring(try Self.transactions(1, 1...1500), from: .peer)
        script.now = .seconds(30)
        #expect(try script.send(.timer).count == 1)
        #expect(script.mempool.deadline == .seconds(30) + Mempool.upkeepPause)
        script.now += .milliseconds(60)
        _ = try script.bring(try Self.transactions(2, 1...1), from: .peer)
        #expect(script.mempool.deadline == .seconds(30) + Mempool.upkeepPause)
        #expect(try script.run(to: .seconds(31)).map(\.ids.count) == [500])
    }

    @Test func aBlockTakesOutWhatItHoldsAndWhatItMakesImpossible() throws {
        var script = try Script(isFree: false)
        let account = TransactionPoolTests.account(1)
        let fees: [Amount] = [10, 20, 60, 5]
        let all = try fees.enumerated().map { index, fee in
            try TransactionPoolTests.transaction(1, UInt64(index + 1), fee: fee)
        }
        _ = try script.bring(all, from: .peer, balance: 100)
        _ = try script.send(.committed([all[0].id], [.init(id: account, nonce: 1, balance: 50)]))
        #expect(script.mempool.transactions(all.map(\.id)).count == 2, "the third is too dear")
        #expect(script.losses == [Loss(id: all[2].id, isOwn: false, reason: .unaffordable)])
        #expect(script.mempool.contents.readyCount == 1)
        _ = try script.send(.committed([.zero], [.init(id: account, nonce: 2, balance: 30)]))
        #expect(script.mempool.all.map(\.transaction) == [all[3]])
        // The check read the state before the block.
        #expect(
            try script.bring([all[1]], from: .client, balance: 100).outcomes == [.nonceTooLow(expected: 3)])
        _ = try script.send(.dropped([all[3].id]))
        #expect(script.mempool.contents.count == 0 && script.mempool.contents.bytes == 0)
    }

    /// The mempool says how much room there is for what peers have, which a block enlarges, and whom it has dropped.
    @Test func aFullMempoolSaysSo() throws {
        var limits = MempoolLimits()
        limits.count = 10
        var script = try Script(limits)
        let own = try Self.transactions(1, 1...8)
        #expect(try script.bring(own, from: .client).outcomes.allSatisfy { $0 == nil })
        #expect(script.mempool.contents.room == 2)
        let others = try Self.transactions(2, 1...2)
        #expect(script.mempool.begin(others.map(\.id)) { _ in false } == [0, 1])
        _ = try script.bring(others, from: .client)
        #expect(script.mempool.refusal(of: try Self.transactions(1, 9...9)[0]) == .full)
        let late = try Self.transactions(3, 1...1)
        #expect(script.mempool.refusal(of: late[0]) == nil)
        #expect(try script.bring(late, from: .client).outcomes == [nil])
        #expect(script.losses == [Loss(id: own[7].id, isOwn: true, reason: .crowdedOut)])
        #expect(script.mempool.contents.room == 0)
        _ = try script.send(
            .committed(
                own[..<4].map(\.id), [.init(id: TransactionPoolTests.account(1), nonce: 4, balance: 0)]))
        #expect(script.mempool.contents.room == 4)
        limits.count = 3
        _ = try script.send(.limits(limits))
        #expect(script.mempool.contents.count == 3 && script.mempool.contents.room == 0)
    }

    /// Every commit is reported, even without a change, because the leader may try the remaining transactions again.
    @Test func everyCommitIsTold() throws {
        var script = try Script()
        var actions: [Action] = []
        script.mempool.handle(
            .committed([], []), at: Instant(elapsed: .zero, wallClock: 0), actions: &actions)
        #expect(actions == [.changed(script.mempool.contents)])
    }

    @Test func aNodeThatIsFarBehindKeepsToItself() throws {
        var script = try Script()
        let all = try Self.transactions(1, 1...2)
        let (early, late) = (Self.peer(8), Self.peer(9))
        #expect(try script.send(.syncing(true)) == [])
        #expect(try script.send(.peerReady(early)) == [.tell(early)])
        #expect(try script.send(.advanced(to: 1_000)) == [.pause])
        _ = try script.bring(all, from: .peer)
        #expect(script.backlog(for: early) == [], "it is told later")
        for peer in [early, late] { #expect(try script.send(.peerReady(peer)) == []) }
        #expect(try script.send(.peerLeft(early)) == [])
        script.now = .seconds(29)
        #expect(try script.send(.advanced(to: 2_000)) == [])
        #expect(try script.run(to: .seconds(58)).isEmpty, "nothing is announced again")
        #expect(try script.send(.syncing(false)) == [.resume, .tell(late)])
        #expect(script.backlog(for: late) == all.map(\.id))
        #expect(script.backlog(for: early) == [], "it has left")
        #expect(try script.run(to: .seconds(60)).map(\.ids) == [all.map(\.id)], "what was due meanwhile")
    }

    @Test func whereNoBlockComesTheNodeGoesOn() throws {
        var script = try Script()
        _ = try script.send(.syncing(true))
        #expect(try script.send(.advanced(to: 1_000)) == [.pause])
        #expect(script.mempool.deadline == .seconds(30))
        script.now = .seconds(30)
        #expect(try script.send(.timer) == [.resume])
        #expect(script.mempool.deadline == nil)
    }
}
