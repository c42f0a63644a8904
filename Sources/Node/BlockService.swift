import Chain
import Crypto
import Multiformats
import Protocols
import Reactor
import Storage

/// Serves committed blocks to peers, straight from the mapped log: validators and the leader first, since the chain
/// waits for them, the others in turn.
@ReactorActor
final class BlockService: BlockSource {
    private let context: NodeContext
    private var queue = ServingQueue()
    private var lastTicket = 0
    private var waiting: [Int: CheckedContinuation<Bool, Never>] = [:]
    private var isStopped = false

    /// Whether the chain waits for this peer: a validator or the leader.
    var isMember: (PeerID) -> Bool = { _ in false }

    init(_ context: NodeContext) { self.context = context }

    func start() {
        let (blocks, heights, ranges) = (
            BlockProtocol(self), BlockHeightProtocol(self), BlockRangeProtocol(self)
        )
        context.host.setStreamHandler(KwilProtocol.block) { await blocks.serve($0) }
        context.host.setStreamHandler(KwilProtocol.blockHeight) { await heights.serve($0) }
        context.host.setStreamHandler(KwilProtocol.blockHeightBest) { await heights.serve($0) }
        context.host.setStreamHandler(KwilProtocol.blockRange) { await ranges.serve($0) }
    }

    func stop() {
        isStopped = true
        for ticket in waiting.keys.sorted() { waiting.removeValue(forKey: ticket)?.resume(returning: false) }
    }

    // MARK: Blocks

    var bestHeight: Int64 { context.store.tip?.height ?? 0 }

    func block(height: Int64) async -> ServedBlock? { await read { try $0.block(at: height) } }

    func block(hash: Hash) async -> ServedBlock? { await read { try $0.block(hash: hash) } }

    func blocks(from height: Int64, count: Int, bytes: Int, compressing: Bool) async -> [RangeBlock] {
        let read = await read { store in
            var blocks: [RangeBlock] = []
            var size = 0
            while blocks.count < count, size < bytes,
                let stored = try store.block(at: height &+ Int64(blocks.count))
            {
                size += stored.block.count
                blocks.append(RangeBlock(Self.served(stored), compressing: compressing))
            }
            return blocks
        }
        return read ?? []
    }

    private nonisolated static func served(_ stored: StoredBlock) -> ServedBlock {
        ServedBlock(
            height: stored.height, hash: stored.hash, block: stored.block, commitInfo: stored.commitInfo)
    }

    private func read(_ body: @escaping @Sendable (BlockStore) throws -> StoredBlock?) async -> ServedBlock? {
        await read { try body($0).map(Self.served) }
    }

    /// Reads on a worker: a cold page of the log must not stop the reactor.
    private func read<T: Sendable>(_ body: @escaping @Sendable (BlockStore) throws -> T?) async -> T? {
        let store = context.store
        do {
            return try await context.serving.run { try body(store) }
        } catch {
            if !isStopped {
                context.log.error("block cannot be read", ["reason": .error(error)])
            }
            return nil
        }
    }

    // MARK: Turns

    func beginServing(_ peer: PeerID) async -> Bool {
        guard !isStopped else { return false }
        lastTicket += 1
        let ticket = lastTicket
        switch queue.enter(peer, isMember(peer) ? .member : .other, ticket: ticket, now: Reactor.now) {
        case .serve: return true
        case .refuse: return false
        case .wait: break
        }
        let timer = Reactor.schedule(after: ServingQueue.longestWait) { [weak self] in
            guard let self, queue.giveUp(ticket) else { return }
            waiting.removeValue(forKey: ticket)?.resume(returning: false)
        }
        defer { timer.cancel() }
        return await withCheckedContinuation { waiting[ticket] = $0 }
    }

    func endServing(_ peer: PeerID) {
        for ticket in queue.leave(peer) { waiting.removeValue(forKey: ticket)?.resume(returning: true) }
    }

    func shouldYield(_ peer: PeerID) -> Bool { queue.shouldYield(peer, now: Reactor.now) }
}
