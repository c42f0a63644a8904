import Bytes
import Chain
import Collections
import LibP2P
import Multiformats
import Reactor

/// Requests for the transactions that a proposed block lacks (docs/protocols.md, "Shares").
extension CompactOffer {
    /// Requests what is missing, of at most `limit` bytes: of much, this node's share from the leader and the others' shares from
    /// them, and the rest from the announcer.
    func collect(_ block: ArrivingBlock, limit: Int) async throws {
        let keepers = isPushed ? inbox.keepers(of: header, proposedBy: peer) : nil
        let others = keepers.map { KeeperRequests(block, from: $0, inbox, limit: limit) }
        defer { others?.end() }
        if let others {
            for round in 1...BlockShares.rounds where !block.isComplete {
                try await collect(block, round, others, limit: limit)
            }
        }
        guard !block.isComplete else { return }
        let wanted = block.missing
        guard try await request(wanted, round: 0, validators: 0) == nil else {
            throw ProtocolsError.malformed("answer to a request for transactions")
        }
        try await readAll(wanted, of: block, limit: limit)
    }

    /// Requests what is missing in a round.
    private func collect(
        _ block: ArrivingBlock, _ round: Int, _ others: KeeperRequests, limit: Int
    ) async throws {
        let (wanted, keepers) = (block.missing, others.keepers)
        guard let shares = try await request(wanted, round: round, validators: keepers.validators.count)
        else {
            return try await readAll(wanted, of: block, limit: limit)
        }
        guard shares.keepers.contains(keepers.own) else {
            throw ProtocolsError.malformed("answer to a request for transactions")
        }
        others.begin()
        for keeper in shares.keepers where keeper != keepers.own {
            others.request(shares.share(of: keeper, round: round, in: wanted), from: keeper)
        }
        let own = shares.share(of: keepers.own, round: round, in: wanted)
        try await stream.readPlaced(own, limit: limit, inbox) { try block.take($0, fromKeeper: false) }
        await others.wait()
    }

    /// Requests transactions. Returns the shares of which the announcer sends this node's one; nil if it sends all.
    private func request(
        _ wanted: PlaceSet, round: Int, validators: Int
    ) async throws -> BlockShares? {
        let kind = CompactProposalProtocol.Request.transactions.rawValue
        try await stream.write([kind, UInt8(round)] + wanted.bytes)
        let bitmap = try await stream.readCBytes(limit: PlaceSet.size(of: validators))
        if bitmap.isEmpty { return nil }
        guard let shares = BlockShares(try PlaceSet(decoding: bitmap.array, capacity: validators)) else {
            throw ProtocolsError.malformed("answer to a request for transactions")
        }
        return shares
    }

    /// Reads all that has been requested. Some of it may have come from a keeper meanwhile.
    private func readAll(_ wanted: PlaceSet, of block: ArrivingBlock, limit: Int) async throws {
        try await stream.readPlaced(wanted, limit: limit, inbox) { try block.take($0, fromKeeper: false) }
        guard block.isComplete else {
            throw ProtocolsError.wrongContent("fewer transactions than were requested")
        }
    }
}

/// This node's requests to other validators for their shares of a block. What comes after a round has ended counts, too.
@ReactorActor
private final class KeeperRequests {
    /// How long to wait for more, beyond a quarter of the time that most has taken. Measured in a model
    /// (docs/decisions/spreading.md).
    static let patience = Duration.milliseconds(250)
    /// How long to wait for keepers that send a little now and then, and if most are late.
    static let longest = Duration.seconds(2)
    /// The number of keepers of which most can be late because of the network.
    static let several = 3

    let keepers: BlockKeepers
    private let block: ArrivingBlock
    private let inbox: any ConsensusInbox
    private let limit: Int
    private let signal = Signal()
    /// The requests that have not been answered yet, in order.
    private var running: OrderedDictionary<Int, Request> = [:]
    private var lastNumber = 0
    /// When the round began, how many transactions were missing then, and how many keepers have been asked since.
    private var (began, wanted, asked) = (Duration.zero, 0, 0)

    private struct Request {
        let peer: PeerID
        let task: Task<Void, Never>
    }

    /// Requests transactions of at most `limit` bytes from each.
    init(_ block: ArrivingBlock, from keepers: BlockKeepers, _ inbox: any ConsensusInbox, limit: Int) {
        (self.block, self.keepers, self.inbox, self.limit) = (block, keepers, inbox, limit)
        block.watch(signal)
    }

    /// Begins a round.
    func begin() { (began, wanted, asked) = (Reactor.now, block.missingCount, 0) }

    /// Requests a keeper's share, unless it is empty or the keeper is not to be asked.
    func request(_ share: PlaceSet, from keeper: Int) {
        let (peer, host) = (keepers.validators[keeper], keepers.host)
        guard !share.isEmpty, host.isConnected(peer), inbox.arrivingBlocks.relies(on: peer) else { return }
        let (block, inbox, limit) = (block, inbox, limit)
        asked += 1
        lastNumber += 1
        let number = lastNumber
        let task = Reactor.spawn { [weak self] in
            do {
                try await BlockShareProtocol.request(
                    share, of: block.hash, from: peer, on: host, limit: limit, inbox
                ) { try block.take($0, fromKeeper: true) }
            } catch ProtocolsError.stream {
                // It may not have the block.
            } catch {
                inbox.arrivingBlocks.letDown(by: peer)
            }
            self?.running[number] = nil
            self?.signal.fire()
        }
        running[number] = Request(peer: peer, task: task)
    }

    /// The keepers that have been asked in this round and have not answered yet.
    private var late: [PeerID] {
        running.filter { $0.key > lastNumber - asked }.map { $0.value.peer }
    }

    /// Waits until all have answered, or those that have not are too slow. This node's own share has come.
    func wait() async {
        let now = Reactor.now
        let (silence, end) = (Self.patience + (now - began) / 4, now + Self.longest)
        var (missing, limit, isMostHere) = (block.missingCount, now + silence, false)
        while !block.isComplete, !late.isEmpty {
            let now = Reactor.now
            if !isMostHere, block.missingCount < missing {
                (missing, limit) = (block.missingCount, now + silence)
            }
            if !isMostHere, block.missingCount * 4 <= wanted {
                isMostHere = true
                limit = now + Self.patience + (now - began) / 4
            }
            if now >= min(limit, end) {
                // If most are late, the network or this node is slow, and more requests would make it slower.
                guard isMostLate, now < end else { return giveUp() }
                limit = end
            }
            await signal.wait(until: min(limit, end))
        }
    }

    private var isMostLate: Bool { asked >= Self.several && late.count * 2 > asked }

    /// Notes which keepers are late, unless most are.
    private func giveUp() {
        guard !isMostLate else { return }
        for peer in late { inbox.arrivingBlocks.letDown(by: peer) }
    }

    func end() {
        block.unwatch(signal)
        for request in running.values { request.task.cancel() }
    }
}
