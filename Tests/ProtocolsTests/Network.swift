import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor
import TestSupport
import Testing

@testable import Protocols

/// Two hosts that are connected, over loopback or inside `MemoryNetwork.run` in memory, and have identified each other.
@ReactorActor
final class Network {
    let a: Host
    let b: Host

    /// Advertises the given protocols besides those that `setUp` registers.
    init(advertisedByA: [ProtocolID] = [], advertisedByB: [ProtocolID] = [], setUp: (Host, Host) -> Void)
        async throws
    {
        a = try Network.host(1, advertisedByA)
        b = try Network.host(2, advertisedByB)
        setUp(a, b)
        try a.start()
        try b.start()
        _ = try await a.connect(try #require(b.listenAddresses.first).appending(.p2p(b.peerID)))
        try await eventually { a.identity(of: b.peerID) != nil && b.identity(of: a.peerID) != nil }
    }

    nonisolated static func key(_ seed: UInt8) throws -> PrivateKey {
        try TestChain.key(seed)
    }

    static func host(_ seed: UInt8, _ advertised: [ProtocolID]) throws -> Host {
        var configuration = HostConfiguration(
            identity: try key(seed), listenAddresses: [try Multiaddr("/ip4/127.0.0.1/tcp/0")])
        configuration.misbehaviour = Misbehaviour.ofDialler
        let host = Host(configuration)
        for id in advertised { host.advertise(id) }
        return host
    }

    func stop() async {
        await a.stop()
        await b.stop()
    }

    /// Opens a stream from A to B.
    func stream(_ id: ProtocolID) async throws -> Stream { try await a.newStream(b.peerID, [id]) }

    /// Requests a transaction from B.
    func request(_ id: Hash) async throws -> SharedBytes? {
        try await TransactionProtocol.request(
            id, from: b.peerID, on: a, limit: 6 << 20, BulkPlace(BulkGate { _ in true }, b.peerID))
    }

    /// Sends B a request and reads its answer to the end of the stream.
    func answer(_ id: ProtocolID, to request: [UInt8], closing: Bool = false) async throws -> [UInt8] {
        let stream = try await stream(id)
        try await stream.write(request)
        if closing { stream.closeWrite() }
        stream.setTimeout(.seconds(20))
        return try await stream.readToEnd(limit: 1 << 24)
    }
}

/// Waits until a condition holds. A test that waits in vain fails.
@ReactorActor
func eventually(_ condition: @ReactorActor () -> Bool) async throws {
    for _ in 0..<4000 {
        if condition() { return }
        try await Reactor.sleep(for: .milliseconds(5))
    }
    throw TimedOut()
}

struct TimedOut: Error {}

/// A node's transactions, kept in a dictionary.
@ReactorActor
final class Pool: TransactionSource, TransactionInbox {
    var transactions: [Hash: SharedBytes] = [:]
    var received: [Hash] = []
    var batches = 0
    var accepts = true
    /// Called for each batch before `receive` returns.
    var onReceive: (@ReactorActor () async -> Void)?

    func add(_ text: String) -> Hash {
        let bytes = SharedBytes(Array(text.utf8))
        let id = Hash.sha256(of: bytes)
        transactions[id] = bytes
        return id
    }

    /// How fetches after announcements ended.
    private(set) var outcomes: [TransactionAnnouncementProtocol.Outcome] = []

    func isWanted(_ id: Hash, from peer: PeerID) async -> Bool { !has(id) }

    func fetchEnded(_ id: Hash, from peer: PeerID, _ outcome: TransactionAnnouncementProtocol.Outcome) {
        outcomes.append(outcome)
    }

    func has(_ id: Hash) -> Bool { transactions[id] != nil }

    func wanted(_ ids: [Hash]) async -> [Hash] { ids.filter { !has($0) } }

    /// How many transactions were looked up.
    private(set) var looks = 0

    func transactions(_ ids: [Hash], bytes limit: Int) async -> [SharedBytes?] {
        looks += ids.count
        return ids.map { transactions[$0] }
    }

    var transactionLimit = 6 << 20
    var room = Int.max
    var patience = Duration.milliseconds(3)
    var trusted: Set<PeerID> = []

    func trusts(_ peer: PeerID) -> Bool { trusted.contains(peer) }

    var leader: PeerID?

    func follows(_ peer: PeerID) -> Bool { peer == leader }

    /// What waits for peers, and how far each has been told of it.
    var waiting: [Hash] = []
    private var told: [PeerID: Int] = [:]

    func backlog(for peer: PeerID, isFirst: Bool, most: Int) async -> (ids: [Hash], isLast: Bool) {
        let from = isFirst ? 0 : told[peer] ?? 0
        let ids = waiting[from...].prefix(most)
        told[peer] = ids.endIndex
        return (Array(ids), ids.endIndex == waiting.count)
    }

    func receive(_ batch: [(id: Hash, bytes: SharedBytes)], from peer: PeerID) async -> Bool {
        batches += 1
        for (id, bytes) in batch {
            transactions[id] = bytes
            received.append(id)
        }
        await onReceive?()
        return accepts
    }
}
