import Chain
import Collections
import Crypto
import LibP2P
import Multiformats
import Peers
import Protocols
import Reactor
import Storage

/// Serves committed blocks to peers from the mapped log: validators and the leader first, since the chain waits for
/// them, then others in turn. A peer that does not read loses its turn while others wait.
@ReactorActor
final class BlockService: BlockSource, Service {
    private let context: NodeContext
    private let peers: PeerService
    /// One queue per kind, so that requests for single blocks do not wait behind ranges.
    private var lines = ServedBlocks.allCases.map { _ in ServingQueue() }
    private var lastTicket = 0
    /// Requests that wait for their turn, by ticket.
    private let waiting = WaitQueue<Int, Void>()
    private var served: OrderedDictionary<Int, Serving> = [:]
    private var watchTimer: Timer?
    private var isStopped = false

    /// The time between two checks of whether served peers read.
    private nonisolated static let watchInterval = ServingQueue.leastTime / 8

    private struct Serving {
        let stream: Stream
        let kind: ServedBlocks
    }

    init(_ context: NodeContext, _ peers: PeerService) {
        self.context = context
        self.peers = peers
    }

    /// Serves blocks until cancelled.
    func run() async throws {
        serve()
        defer { stop() }
        try await ServiceEnd().wait()
    }

    private func serve() {
        context.host.register(BlockProtocol(self))
        context.host.register(BlockHeightProtocol(self))
        context.host.register(BlockRangeProtocol(self))
    }

    private func stop() {
        isStopped = true
        watchTimer?.cancel()
        waiting.wakeAll(nil)
    }

    // MARK: Blocks

    var bestHeight: Int64 { context.chain.tip?.height ?? 0 }

    func block(height: Int64) async -> ServedBlock? {
        // The chain takes a height of 0 for the newest.
        guard height > 0 else { return nil }
        return await read { try await $0.block(at: height, on: $1).map { Self.served($0.block) } }
    }

    func block(hash: Hash) async -> ServedBlock? {
        await read { try await $0.block(hash: hash, on: $1).map { Self.served($0.block) } }
    }

    func blocks(from height: Int64, count: Int, bytes: Int, compressing: Bool) async -> [RangeBlock] {
        let read = await read { chain, worker in
            try await chain.blocks(from: height, count: count, bytes: bytes, on: worker) {
                RangeBlock(Self.served($0), compressing: compressing)
            }
        }
        return read ?? []
    }

    private nonisolated static func served(_ stored: StoredBlock) -> ServedBlock {
        ServedBlock(
            height: stored.height, hash: stored.hash, block: stored.block, commitInfo: stored.commitInfo)
    }

    private func read<T>(_ body: (ChainReader, Worker) async throws -> T?) async -> T? {
        do {
            return try await body(context.chain, context.serving)
        } catch StorageError.pruned {
            return nil
        } catch {
            if !isStopped {
                context.log.error("block cannot be read", ["reason": .error(error)])
            }
            return nil
        }
    }

    // MARK: Turns

    func beginServing(_ stream: Stream, _ kind: ServedBlocks) async -> Int? {
        guard !isStopped else { return nil }
        let peer = stream.remotePeer
        lastTicket += 1
        let ticket = lastTicket
        switch lines[kind.rawValue].enter(peer, peers.rank(of: peer), ticket: ticket, now: Reactor.now) {
        case .serve: break
        case .refuse: return nil
        case .wait:
            guard await waiting.wait(as: ticket, limit: ServingQueue.longestWait) != nil else {
                // The turn may have begun after the wait had ended: then the next in line has it.
                if !lines[kind.rawValue].giveUp(ticket) { endTurn(ticket, kind) }
                return nil
            }
        }
        served[ticket] = Serving(stream: stream, kind: kind)
        watch()
        return ticket
    }

    func endServing(_ ticket: Int) {
        guard let serving = served.removeValue(forKey: ticket) else { return }
        endTurn(ticket, serving.kind)
    }

    private func endTurn(_ ticket: Int, _ kind: ServedBlocks) {
        let next = lines[kind.rawValue].leave(ticket)
        waiting.wakeAll(()) { next.contains($0) }
    }

    func shouldYield(_ ticket: Int) -> Bool {
        guard let serving = served[ticket] else { return true }
        return lines[serving.kind.rawValue].shouldYield(ticket, now: Reactor.now)
    }

    /// Checks regularly that served peers read, while any is served.
    private func watch() {
        guard watchTimer?.isPending != true, !isStopped else { return }
        watchTimer = Reactor.schedule(after: Self.watchInterval) { [weak self] in
            guard let self else { return }
            for kind in ServedBlocks.allCases { endIdleTurns(kind) }
            if !served.isEmpty { watch() }
        }
    }

    private func endIdleTurns(_ kind: ServedBlocks) {
        let now = Reactor.now
        var all: [ServingQueue.Progress] = []
        for (ticket, serving) in served where serving.kind == kind {
            let (taken, isBlocked) = serving.stream.sendProgress
            all.append(ServingQueue.Progress(ticket: ticket, taken: taken, isBlocked: isBlocked))
        }
        var losers: OrderedDictionary<PeerID, ServingQueue.Loss> = [:]
        for (ticket, loss) in lines[kind.rawValue].look(all, now: now) {
            guard let stream = served[ticket]?.stream else { continue }
            stream.reset()
            endServing(ticket)
            if loss != .late, losers[stream.remotePeer] != .still { losers[stream.remotePeer] = loss }
        }
        for (peer, loss) in losers { lose(peer, kind, loss, now) }
    }

    /// Logs a lost turn, and reports the peer. A stranger that was slow is reported from the second time on, since once
    /// may be an accident; a member or chosen peer never, since its link may always be slow. A peer that read nothing
    /// for long is always reported.
    private func lose(_ peer: PeerID, _ kind: ServedBlocks, _ loss: ServingQueue.Loss, _ now: Duration) {
        let times = lines[kind.rawValue].noteLoss(peer, now: now)
        context.log.info(
            loss == .still
                ? "a peer reads none of the blocks that it requested: its turn ends"
                : "a peer reads the blocks that it requested too slowly while others wait: its turn ends",
            ["peer": .of(peer), "times": .number(times)])
        if loss == .still || times > 1 && peers.rank(of: peer) == .stranger {
            context.host.report(peer, .stalling)
        }
    }
}
