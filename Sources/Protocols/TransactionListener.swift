import Crypto
import LibP2P
import Multiformats
import Reactor

/// The listening end of a peer's `/apus/txann/1.0.0` stream: asks for what is new, hands contents on in batches.
@ReactorActor
final class TransactionListener {
    /// Contents read ahead while the node checks those before; beyond, the stream is not read: back-pressure.
    static let maxBatch = 256
    /// Bytes of them.
    static let maxBatchBytes = 4 << 20

    let peer: PeerID
    private let stream: Stream
    private let source: any TransactionSource
    private let exchange: TransactionExchange

    /// What this stream was asked for and has not brought.
    private var asked: Set<Hash> = []
    private var pendingWants: [Hash] = []
    private var batch: [(id: Hash, bytes: SharedBytes)] = []
    private var batchBytes = 0
    private var isEnded = false
    private let wants = Signal()
    private let contents = Signal()
    private let room = Signal()

    init(_ stream: Stream, _ source: any TransactionSource, _ exchange: TransactionExchange) {
        self.stream = stream
        self.source = source
        self.exchange = exchange
        peer = stream.remotePeer
    }

    /// Asks for transactions on this stream.
    func want(_ ids: [Hash]) {
        let fresh = ids.filter { asked.insert($0).inserted }
        guard !fresh.isEmpty else { return }
        pendingWants += fresh
        wants.fire()
    }

    func stop() { end() }

    /// Works until the peer ends the stream or breaks its rules.
    func run() async {
        Reactor.spawn { await self.writeWants() }
        Reactor.spawn { await self.handOn() }
        do {
            while let kind = try await TransactionFrame.readKind(stream) { try await take(kind) }
        } catch {}
        end()
    }

    private func end() {
        guard !isEnded else { return }
        isEnded = true
        stream.reset()
        wants.fire()
        contents.fire()
        room.fire()
    }

    private func take(_ kind: TransactionFrame.Kind) async throws {
        switch kind {
        case .announce:
            let ids = try await TransactionFrame.readHashes(stream)
            want(exchange.announced(ids, by: peer))
        case .content:
            let bytes = try await TransactionFrame.readContent(stream)
            let id = Hash.sha256(of: bytes)
            guard asked.remove(id) != nil else {
                throw ProtocolsError.wrongContent("a transaction that was not asked for")
            }
            exchange.received(id)
            guard !source.has(id) else { return }
            while batch.count >= Self.maxBatch || batchBytes >= Self.maxBatchBytes, !isEnded {
                await room.wait()
            }
            batch.append((id, bytes))
            batchBytes &+= bytes.count
            contents.fire()
        case .gone:
            for id in try await TransactionFrame.readHashes(stream) {
                guard asked.remove(id) != nil else {
                    throw ProtocolsError.wrongContent("word of a transaction that was not asked for")
                }
                exchange.gone(id, from: peer)
            }
        case .want:
            throw ProtocolsError.malformed("frame")
        }
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
                try await stream.write(frame.bytes)
            }
        } catch {
            end()
        }
    }

    private func handOn() async {
        while !isEnded {
            guard !batch.isEmpty else {
                await contents.wait()
                continue
            }
            let ready = batch
            batch = []
            batchBytes = 0
            room.fire()
            guard await source.receive(ready, from: peer) else { return end() }
        }
    }
}
