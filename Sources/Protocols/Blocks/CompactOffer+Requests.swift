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
        if isPushed, let keepers = inbox.keepers(of: header, proposedBy: peer) {
            for round in 1...BlockShares.rounds where !block.isComplete {
                try await collect(block, round, keepers, limit: limit)
            }
        }
        guard !block.isComplete else { return }
        guard try await request(block.missing, round: 0, validators: 0) == nil else {
            throw ProtocolsError.malformed("answer to a request for transactions")
        }
        try await readRest(block, limit: limit)
    }

    /// Requests what is missing in a round.
    private func collect(
        _ block: ArrivingBlock, _ round: Int, _ keepers: BlockKeepers, limit: Int
    ) async throws {
        let wanted = block.missing
        guard let shares = try await request(wanted, round: round, validators: keepers.validators.count)
        else {
            return try await readRest(block, limit: limit)
        }
        guard shares.keepers.contains(keepers.own) else {
            throw ProtocolsError.malformed("answer to a request for transactions")
        }
        let others = KeeperRequests(block, from: keepers, inbox)
        defer { others.end() }
        for keeper in shares.keepers where keeper != keepers.own {
            others.request(shares.share(of: keeper, round: round, in: wanted), from: keeper, limit: limit)
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

    /// Reads all that is missing.
    private func readRest(_ block: ArrivingBlock, limit: Int) async throws {
        try await stream.readPlaced(block.missing, limit: limit, inbox) {
            try block.take($0, fromKeeper: false)
        }
        guard block.isComplete else {
            throw ProtocolsError.wrongContent("fewer transactions than were requested")
        }
    }
}

/// This node's requests to other validators for their shares of a block.
@ReactorActor
private final class KeeperRequests {
    /// How long to wait for more, beyond a quarter of the time that most has taken. Measured in a model
    /// (docs/decisions/spreading.md).
    static let patience = Duration.milliseconds(250)
    /// How long to wait for keepers that send a little now and then.
    static let longest = Duration.seconds(2)

    private let block: ArrivingBlock
    private let keepers: BlockKeepers
    private let inbox: any ConsensusInbox
    private let signal = Signal()
    private let began = Reactor.now
    private let wanted: Int
    /// How many keepers have been asked.
    private var asked = 0
    /// Those that have not answered yet.
    private var running: OrderedDictionary<Int, Task<Void, Never>> = [:]

    init(_ block: ArrivingBlock, from keepers: BlockKeepers, _ inbox: any ConsensusInbox) {
        (self.block, self.keepers, self.inbox) = (block, keepers, inbox)
        wanted = block.missingCount
        block.watch(signal)
    }

    /// Requests a keeper's share, unless it is empty or the keeper is not to be asked.
    func request(_ share: PlaceSet, from keeper: Int, limit: Int) {
        let (peer, host) = (keepers.validators[keeper], keepers.host)
        guard !share.isEmpty, host.isConnected(peer), inbox.arrivingBlocks.relies(on: peer) else { return }
        let (block, inbox) = (block, inbox)
        asked += 1
        running[keeper] = Reactor.spawn { [weak self] in
            do {
                try await BlockShareProtocol.request(
                    share, of: block.hash, from: peer, on: host, limit: limit, inbox
                ) { try block.take($0, fromKeeper: true) }
            } catch ProtocolsError.stream {
                // It may not have the block.
            } catch {
                inbox.arrivingBlocks.letDown(by: peer)
            }
            self?.running[keeper] = nil
            self?.signal.fire()
        }
    }

    /// Waits until all have answered, or those that have not are too slow. This node's own share has come.
    func wait() async {
        let now = Reactor.now
        let (silence, end) = (Self.patience + (now - began) / 4, now + Self.longest)
        var (missing, limit, isMostHere) = (block.missingCount, now + silence, false)
        while !block.isComplete, !running.isEmpty {
            let now = Reactor.now
            if !isMostHere, block.missingCount < missing {
                (missing, limit) = (block.missingCount, now + silence)
            }
            if !isMostHere, block.missingCount * 4 <= wanted {
                isMostHere = true
                limit = now + Self.patience + (now - began) / 4
            }
            guard now < min(limit, end) else { return giveUp() }
            await signal.wait(until: min(limit, end))
        }
    }

    /// Notes which keepers are late. If most are, this node is slow itself.
    private func giveUp() {
        guard running.count * 2 <= asked else { return }
        for keeper in running.keys { inbox.arrivingBlocks.letDown(by: keepers.validators[keeper]) }
    }

    func end() {
        block.unwatch(signal)
        for task in running.values { task.cancel() }
    }
}
