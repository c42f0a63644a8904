import Collections
import Log
import Multiformats
import Reactor

/// What a host remembers of its peers, across restarts if it has a file: addresses, protocols, when they were last seen
/// and the results of dials. Public keys are part of the peer IDs.
///
/// The number of peers, and of addresses of each, is bounded; the least useful make room. A worker writes changes after
/// a few seconds; `save` writes them at once.
@ReactorActor
public final class PeerStore {
    /// The most peers remembered. At about 300 bytes each, the file stays near a megabyte.
    public nonisolated static let maximumPeers = 4_096
    /// The most addresses remembered for a peer.
    public nonisolated static let maximumAddresses = 16
    /// The most of them that only other peers have named.
    public nonisolated static let maximumHearsay = 4
    /// The most peers remembered of one teller (`PeerRecord.teller`). Beyond that, a new one replaces the least useful
    /// of them.
    public nonisolated static let maximumPerTeller = 128
    /// The most protocols remembered for a peer.
    public nonisolated static let maximumProtocols = 128
    /// How long after a change the file is written, so that a burst of changes costs one write.
    static let saveDelay = Duration.seconds(5)

    private var records: OrderedDictionary<PeerID, PeerRecord> = [:]
    /// The number of records of each teller.
    private var told: [PeerID: Int] = [:]
    private var isClosed = false
    private let file: AddressBookFile?
    private let worker: Worker?
    private let clock: @Sendable () -> Int64
    private let log: Log
    private var saveTimer: Timer?

    /// Creates a store without a file. `clock` returns Unix time in seconds.
    public nonisolated init(clock: @escaping @Sendable () -> Int64 = AddressBookFile.unixTime) {
        file = nil
        worker = nil
        log = .silent
        self.clock = clock
    }

    /// Creates a store with a file, which is read now, on the calling thread, and need not exist yet.
    ///
    /// Throws `corruptFile` if the file is damaged or another program's, and `file` if it cannot be read. `worker`
    /// writes the file. `clock` returns Unix time in seconds.
    public nonisolated init(
        path: String, worker: Worker, log: Log = .silent,
        clock: @escaping @Sendable () -> Int64 = AddressBookFile.unixTime
    ) throws(LibP2PError) {
        let file = AddressBookFile(path: path)
        self.file = file
        self.worker = worker
        self.log = log
        self.clock = clock
        records = OrderedDictionary(
            try file.read().map { ($0.peer, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Creates a store with a file. If the file is damaged or another program's, renames it to `<path>.damaged` and
    /// begins with an empty store.
    public nonisolated static func recovering(
        path: String, worker: Worker, log: Log = .silent,
        clock: @escaping @Sendable () -> Int64 = AddressBookFile.unixTime
    ) throws(LibP2PError) -> PeerStore {
        do {
            return try PeerStore(path: path, worker: worker, log: log, clock: clock)
        } catch .corruptFile(let path, let reason) {
            let aside = try AddressBookFile(path: path).putAside()
            log.warning(
                "address book is damaged; starting with an empty one",
                ["kept": .text(aside), "reason": .text(reason)])
            return try PeerStore(path: path, worker: worker, log: log, clock: clock)
        }
    }

    /// The records of all peers, in the order learned.
    public var all: some Sequence<PeerRecord> { records.values }

    /// The number of peers remembered.
    public var count: Int { records.count }

    /// All peers, the most recently seen first.
    public var peers: [PeerID] {
        records.values.sorted { ($1.lastSeen, $0.peer) < ($0.lastSeen, $1.peer) }.map(\.peer)
    }

    /// Returns the record of a peer.
    public func record(of peer: PeerID) -> PeerRecord? { records[peer] }

    /// Returns a peer's addresses, those most likely to answer first.
    public func addresses(of peer: PeerID) -> [Multiaddr] {
        records[peer]?.addresses.sorted { $0.isBetter(than: $1) }.map(\.address) ?? []
    }

    /// Remembers addresses of a peer without checking them. Strips trailing peer IDs.
    public func add(_ addresses: [Multiaddr], for peer: PeerID) {
        guard !addresses.isEmpty else { return }
        change(peer) { record in
            for address in addresses {
                record.insert(address.withoutPeerID)
            }
            record.teller = nil
        }
    }

    /// Remembers addresses of a peer that another peer has named. Such peers are the first to make room, and no peer
    /// can fill the store with them.
    public func add(_ addresses: [Multiaddr], for peer: PeerID, toldBy teller: PeerID) {
        guard !addresses.isEmpty else { return }
        let isNew = records[peer] == nil
        if isNew, !makeRoom(forWordOf: teller) { return }
        change(peer) { record in
            for address in addresses { record.insert(address.withoutPeerID, isHearsay: true) }
            if isNew { record.teller = teller }
        }
    }

    /// Makes room for one more peer named by `teller`. Returns false if the store is full of better ones.
    private func makeRoom(forWordOf teller: PeerID) -> Bool {
        if told[teller] ?? 0 >= Self.maximumPerTeller {
            let rivals = records.values.filter { $0.teller == teller }
            guard let worst = rivals.min(by: { $1.isBetter(than: $0) }) else { return false }
            put(nil, for: worst.peer)
        }
        return records.count < Self.maximumPeers || records.values.contains { !$0.isVerified }
    }

    /// Remembers the protocols that a peer lists.
    public func setProtocols(_ protocols: [ProtocolID], of peer: PeerID) {
        change(peer) { $0.protocols = Array(protocols.prefix(Self.maximumProtocols)) }
    }

    /// Notes that the peer is connected, or was until now.
    public func noteSeen(_ peer: PeerID) {
        let now = clock()
        change(peer) {
            $0.lastSeen = now
            $0.teller = nil
        }
    }

    /// Notes that the peer answered at an address.
    public func noteDialed(_ peer: PeerID, at address: Multiaddr) {
        let now = clock()
        change(peer) { record in
            record.lastSeen = now
            record.update(address.withoutPeerID) { entry in
                entry.failures = 0
                entry.lastConnected = now
                entry.isHearsay = false
            }
            record.teller = nil
        }
    }

    /// Notes that the peer did not answer at an address.
    public func noteDialFailed(_ peer: PeerID, at address: Multiaddr) {
        guard records[peer] != nil else { return }
        change(peer) { record in
            record.update(address.withoutPeerID) { $0.failures = min($0.failures &+ 1, .max &- 1) }
        }
    }

    /// Forgets a peer.
    public func remove(_ peer: PeerID) {
        guard records[peer] != nil else { return }
        put(nil, for: peer)
        saveSoon()
    }

    /// Writes the file a last time and stops the worker. Later changes are not saved. Throws like `save`.
    public func close() async throws(LibP2PError) {
        isClosed = true
        defer { worker?.stop() }
        try await save()
    }

    /// Writes the file now. Throws `file` if that fails, and leaves the old file intact.
    public func save() async throws(LibP2PError) {
        saveTimer?.cancel()
        saveTimer = nil
        guard let file, let worker else { return }
        let snapshot = records.values.sorted { $0.peer < $1.peer }
        do {
            try await worker.run { try file.write(snapshot) }
        } catch let error as LibP2PError {
            throw error
        } catch {
            throw .file(path: file.path, reason: "\(error)")
        }
    }

    private func change(_ peer: PeerID, _ body: (inout PeerRecord) -> Void) {
        if records[peer] == nil { makeRoom() }
        let before = records[peer]
        var record = before ?? PeerRecord(peer: peer)
        body(&record)
        guard record != before else { return }
        put(record, for: peer)
        saveSoon()
    }

    /// Replaces or removes a record and updates `told`.
    private func put(_ record: PeerRecord?, for peer: PeerID) {
        if let teller = records[peer]?.teller {
            told[teller] = told[teller].flatMap { $0 > 1 ? $0 - 1 : nil }
        }
        if let teller = record?.teller { told[teller, default: 0] += 1 }
        records[peer] = record
    }

    /// Forgets the least useful peer if the store is full.
    private func makeRoom() {
        guard records.count >= Self.maximumPeers else { return }
        if let worst = records.values.min(by: { $1.isBetter(than: $0) }) { put(nil, for: worst.peer) }
    }

    private func saveSoon() {
        guard file != nil, saveTimer == nil, !isClosed else { return }
        saveTimer = Reactor.schedule(after: Self.saveDelay) { [weak self] in
            guard let self else { return }
            saveTimer = nil
            _ = Reactor.spawn {
                do {
                    try await self.save()
                } catch {
                    self.log.error("address book not saved", ["reason": .error(error)])
                }
            }
        }
    }
}
