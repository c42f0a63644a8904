import Bytes
import Crypto
import LibP2P
import Multiformats
import Reactor

/// The listening end of a peer's `/apus/txann/1.0.0` stream: requests what is new and hands on transactions in batches.
@ReactorActor
final class TransactionListener {
    /// Transactions read ahead while the node checks earlier ones. Beyond that the stream is not read: back-pressure.
    static let maxBatch = 256
    /// Bytes of these transactions.
    static let maxBatchBytes = 4 << 20
    /// Transactions requested on this stream that have not come, including those requested from others since.
    static let maxAsked = 2 * TransactionRequests.maxPerPeer
    /// A stream silent for longer is not worth keeping. Announcers end it sooner, so that no announcement is lost.
    static let silence = Duration.seconds(600)

    let peer: PeerID
    /// Distinguishes the peer's streams.
    let number: Int
    private let stream: Stream
    private let source: any TransactionSource
    private let exchange: TransactionExchange

    /// What was requested on this stream and has not come.
    private var asked: Set<Hash> = []
    private var pendingWants: [Hash] = []
    private var batch: [(id: Hash, bytes: SharedBytes)] = []
    private var batchBytes = 0
    private var isEnded = false
    /// Whether nothing more is handed on.
    private var isHandedOn = false
    /// Whether this node's lack of room ended the stream.
    var isExcused: Bool { place.isRefused }
    /// What a transaction on the stream is doing now.
    private(set) var progress: TransactionRequests.Progress?
    private let watch: StreamWatch
    private let place: BulkPlace
    private let wants = Signal()
    private let contents = Signal()
    private let room = Signal()

    init(
        _ stream: Stream, _ source: any TransactionSource, _ exchange: TransactionExchange,
        _ place: BulkPlace, number: Int
    ) {
        self.stream = stream
        self.source = source
        self.exchange = exchange
        self.place = place
        self.number = number
        peer = stream.remotePeer
        watch = StreamWatch(stream, silence: Self.silence)
    }

    /// Requests transactions on this stream. Returns those for which there is no room because the peer announces and does not
    /// deliver.
    func want(_ ids: [Hash]) -> [Hash] {
        let new = ids.filter { !asked.contains($0) }
        let fresh = new.prefix(isEnded ? 0 : max(0, Self.maxAsked - asked.count))
        guard !fresh.isEmpty else { return new }
        if asked.isEmpty { watch.begin(.answer) }
        asked.formUnion(fresh)
        pendingWants += fresh
        wants.fire()
        return Array(new.dropFirst(fresh.count))
    }

    /// Works until the peer ends the stream. Throws how it broke the rules, or how the stream failed.
    func run() async throws {
        defer { stop() }
        Reactor.spawn { await self.writeWants() }
        Reactor.spawn { await self.handOn() }
        // A peer opens the stream to say something at once.
        watch.begin(.frame)
        do {
            while let kind = try await TransactionFrame.readKind(stream) {
                watch.begin(.frame)
                try await take(kind)
                watch.end(.frame)
                watch.begin(.silence)
            }
        } catch  where watch.hasExpired && !asked.isEmpty && !(error is ProtocolsError) {
            throw ProtocolsError.stalled
        }
    }

    func stop() {
        guard !isEnded else { return }
        isEnded = true
        watch.stop()
        stream.reset()
        wants.fire()
        contents.fire()
        room.fire()
    }

    private func take(_ kind: TransactionFrame.Kind) async throws {
        switch kind {
        case .announce:
            let ids = try await TransactionFrame.readHashes(stream)
            await exchange.announced(ids, on: self)
            try await stream.spend(TransactionFrame.work(ids.count))
        case .content: try await takeContent()
        case .gone:
            let ids = try await TransactionFrame.readHashes(stream)
            for id in ids {
                guard asked.remove(id) != nil else {
                    throw ProtocolsError.malformed("frame: it names a transaction that was not requested")
                }
                exchange.gone(id, from: peer)
            }
            if asked.isEmpty { watch.end(.answer) } else { watch.begin(.answer) }
            try await stream.spend(TransactionFrame.work(ids.count))
        case .want:
            throw ProtocolsError.malformed("frame")
        }
    }

    private func takeContent() async throws {
        // Memory is reserved only for what was requested.
        guard !asked.isEmpty else { throw ProtocolsError.malformed("frame") }
        let count = try await TransactionFrame.readLength(stream, limit: source.transactionLimit)
        defer {
            place.leave()
            progress = nil
        }
        if count > BulkGate.freeBytes {
            watch.end(.frame)
            progress = .held
            try await place.enter(for: stream)
            watch.begin(.frame)
        }
        progress = .arriving
        let bytes = try await stream.readShared(count)
        // From here on this node takes the time.
        progress = .held
        watch.end(.frame)
        watch.end(.answer)
        defer { if !asked.isEmpty { watch.begin(.answer) } }
        let id = Hash.sha256(of: bytes)
        guard asked.remove(id) != nil else {
            throw ProtocolsError.malformed("frame: its transaction was not requested")
        }
        exchange.arrived(id, by: peer)
        while batch.count >= Self.maxBatch || batchBytes >= Self.maxBatchBytes, !isEnded {
            await room.wait()
        }
        guard !isHandedOn else { return exchange.handedOn(1) }
        batch.append((id, bytes))
        batchBytes &+= bytes.count
        contents.fire()
    }

    private func writeWants() async {
        do {
            while !isEnded {
                guard !pendingWants.isEmpty else {
                    await wants.wait()
                    continue
                }
                var frame = ByteWriter()
                let ids = pendingWants.prefix(TransactionFrame.maxHashes)
                TransactionFrame.encode(.want, ids, to: &frame)
                pendingWants.removeFirst(ids.count)
                watch.begin(.write)
                try await stream.write(frame.bytes)
                watch.end(.write)
            }
        } catch {
            stop()
        }
    }

    /// Hands on what has come, also after the stream's end: it counts as delivered.
    private func handOn() async {
        defer {
            isHandedOn = true
            exchange.handedOn(batch.count)
        }
        while true {
            guard !batch.isEmpty else {
                if isEnded { return }
                await contents.wait()
                continue
            }
            let ready = batch
            batch = []
            batchBytes = 0
            room.fire()
            let isTaken = await source.receive(ready, from: peer)
            exchange.handedOn(ready.count)
            guard isTaken else {
                stream.reset(because: ProtocolsError.forged("transactions that were refused"))
                return stop()
            }
        }
    }
}
