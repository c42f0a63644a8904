import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// A stranger that listens: it speaks only the requirements' protocols, none of Apus' own, and records what nodes
/// announce to it.
@ReactorActor
final class Witness: TransactionSource, TransactionInbox {
    /// A node's announcement of a transaction.
    struct Announced {
        let id: Hash
        let by: PeerID
        let at: Duration
    }

    let stranger: Stranger
    /// Whether it requests announced transactions; otherwise it closes the stream.
    var takes = true
    /// Announcements in order of arrival.
    private(set) var announced: [Announced] = []
    /// Transactions that it has received.
    private(set) var taken: [Hash: SharedBytes] = [:]
    /// Announced proposals: the peer and the block.
    private(set) var proposals: [(by: PeerID, block: Hash)] = []
    /// The peers that have announced committed blocks.
    private(set) var announcers: [PeerID] = []
    /// Votes and their times of arrival.
    private(set) var answers: [(said: AckRes, at: Duration)] = []
    /// Validators' confirmations of commits.
    private(set) var commits: [CommitDone] = []
    /// The peers that have requested a transaction outside an announcement.
    private(set) var askers: [PeerID] = []
    /// The peers that have asked for its consensus status, of which it has none.
    private(set) var inquirers: [PeerID] = []

    private let gate = BulkGate { _ in true }

    var host: Host { stranger.host }

    /// Creates the stranger with a number, as `Stranger` does.
    init(_ world: World, _ number: Int, key: PrivateKey? = nil) throws {
        stranger = try Stranger(world, number, key: key)
        host.register(TransactionAnnouncementProtocol(self, self, gate))
        host.register(BlockProposalProtocol.id) { [weak self] stream in
            // Height and hash come first.
            if let head = try? await stream.readExactly(8 + Hash.count),
                let block = try? Hash(Array(head.suffix(Hash.count)))
            {
                self?.proposals.append((stream.remotePeer, block))
            }
            stream.close()
        }
        host.register(BlockAnnouncementProtocol.id) { [weak self] stream in
            self?.announcers.append(stream.remotePeer)
            stream.close()
        }
        host.register(AcknowledgementProtocol.id) { [weak self] stream in
            let bytes = try? await stream.readToEnd(limit: ChainLimits.acknowledgementBytes)
            if let bytes, let answer = try? AckRes(decoding: SharedBytes(bytes)) {
                self?.answers.append((answer, Reactor.now))
            }
            stream.close()
        }
        host.register(CommitDoneProtocol.id) { [weak self] stream in
            let bytes = try? await stream.readToEnd(limit: CommitDone.maxBytes)
            if let bytes, let message = try? CommitDone(decoding: SharedBytes(bytes)) {
                self?.commits.append(message)
            }
            stream.close()
        }
        let serving = TransactionProtocol(self)
        host.register(TransactionProtocol.id) { [weak self] stream in
            self?.askers.append(stream.remotePeer)
            try await serving.serve(stream)
        }
        host.register(ConsensusStatusProtocol.id) { [weak self] stream in
            self?.inquirers.append(stream.remotePeer)
            stream.close()
        }
    }

    func isWanted(_ id: Hash, from peer: PeerID) async -> Bool {
        guard !has(id) else { return false }
        announced.append(Announced(id: id, by: peer, at: Reactor.now))
        return takes
    }

    func fetchEnded(_ id: Hash, from peer: PeerID, _ outcome: TransactionAnnouncementProtocol.Outcome) {}

    /// Adds a transaction to those it serves.
    func keep(_ transaction: Transaction) { taken[transaction.id] = transaction.bytes }

    /// Dials machines and waits until they count it among their peers.
    func join(_ world: World, _ machines: [SimulatedNode]) async throws {
        for machine in machines {
            try await world.admit(stranger, at: machine)
        }
        // Nodes announce nothing to a peer before identify has completed.
        try await Reactor.sleep(for: .seconds(1))
    }

    /// Returns a validator's votes.
    func answers(of machine: SimulatedNode) -> [(said: AckRes, at: Duration)] {
        answers.filter { $0.said.signature.publicKey == machine.key && $0.said.verify() }
    }

    /// Returns how many of `ids` a machine's node has announced.
    func heard(_ ids: [Hash], from machine: SimulatedNode) -> Int {
        var count = 0
        for id in ids where !times(of: id, from: machine).isEmpty { count += 1 }
        return count
    }

    /// Returns the times at which a machine's node has announced a transaction.
    func times(of id: Hash, from machine: SimulatedNode) -> [Duration] {
        let peer = machine.key.peerID
        return announced.filter { $0.id == id && $0.by == peer }.map(\.at)
    }

    /// Requests a transaction from a peer; returns nil when the peer has none.
    func request(_ id: Hash, from peer: PeerID) async throws -> SharedBytes? {
        try await TransactionProtocol.request(
            id, from: peer, on: host, limit: transactionLimit, BulkPlace(gate, peer))
    }

    func stop() async { await host.stop() }

    // MARK: TransactionSource

    func has(_ id: Hash) -> Bool { taken[id] != nil }

    func wanted(_ ids: [Hash]) async -> [Hash] { ids.filter { !has($0) } }

    func transactions(_ ids: [Hash], bytes limit: Int) async -> [SharedBytes?] { ids.map { taken[$0] } }

    var room: Int { .max }
    var patience: Duration { .zero }
    var transactionLimit: Int { ChainLimits.transactionBytes }

    func trusts(_ peer: PeerID) -> Bool { true }

    func follows(_ peer: PeerID) -> Bool { false }

    func backlog(for peer: PeerID, isFirst: Bool, most: Int) async -> (ids: [Hash], isLast: Bool) {
        ([], true)
    }

    func receive(_ transactions: [(id: Hash, bytes: SharedBytes)], from peer: PeerID) async -> Bool {
        for (id, bytes) in transactions { taken[id] = bytes }
        return true
    }
}
