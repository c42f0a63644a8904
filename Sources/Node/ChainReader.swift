import Bytes
import Chain
import Collections
import Crypto
import Reactor
import Storage
import Synchronization

/// Reads the committed chain for peers and clients: recent blocks from memory, everything else from the block log on a
/// worker.
///
/// Safe on any thread.
final class ChainReader: Sendable {
    /// Where an answer came from.
    enum Origin: Equatable {
        /// Memory, without a hop to a worker.
        case memory
        /// The mapped block log.
        case log
    }

    /// The maximum number of recent blocks in memory: enough for peers that are a few blocks behind.
    static let recentCount = 16
    /// The maximum size of the recent blocks in memory without the newest one, in bytes.
    static let recentBytes = 16 << 20

    private struct Recent {
        var blocks = Deque<StoredBlock>()
        var bytes = 0
    }

    private let store: BlockStore
    private let recent = Mutex(Recent())

    init(_ store: BlockStore) { self.store = store }

    /// The newest committed block; nil in an empty chain.
    var tip: BlockTip? { store.tip }

    /// The bytes of the recent blocks in memory, and their number.
    var held: (bytes: Int, count: Int) { recent.withLock { ($0.bytes, $0.blocks.count) } }

    /// Keeps a block that has just been appended to the log.
    func appended(_ block: StoredBlock) {
        recent.withLock { recent in
            if let newest = recent.blocks.last, newest.height &+ 1 != block.height { recent = Recent() }
            recent.blocks.append(block)
            recent.bytes += block.size
            while recent.blocks.count > Self.recentCount
                || recent.blocks.count > 1 && recent.bytes - block.size > Self.recentBytes
            {
                recent.bytes -= recent.blocks.popFirst()?.size ?? 0
            }
        }
    }

    // MARK: Blocks

    /// Returns the block at a height, or the newest one for a height of 0 or less; nil if there is none. Reads on `worker`
    /// what is not in memory.
    func block(at height: Int64, on worker: Worker) async throws -> (block: StoredBlock, from: Origin)? {
        guard let height = height > 0 ? height : tip?.height else { return nil }
        if let block = recentBlock(at: height) { return (block, .memory) }
        let store = store
        return try await worker.runForClient { try store.block(at: height) }.map { ($0, .log) }
    }

    /// Returns the block with a hash; nil if there is none. Reads on `worker` what is not in memory.
    func block(hash: Hash, on worker: Worker) async throws -> (block: StoredBlock, from: Origin)? {
        let known = recent.withLock { recent in recent.blocks.last { $0.hash == hash } }
        if let known { return (known, .memory) }
        let store = store
        return try await worker.runForClient { try store.block(hash: hash) }.map { ($0, .log) }
    }

    /// Returns consecutive blocks from a height on, each turned into a `Value` on `worker`: at most `count`, and no further
    /// block once they have `bytes` bytes.
    func blocks<Value: Sendable>(
        from height: Int64, count: Int, bytes: Int, on worker: Worker,
        _ body: @escaping @Sendable (StoredBlock) -> Value
    ) async throws -> [Value] {
        try await worker.runForClient { [self] in
            var values: [Value] = []
            var size = 0
            while values.count < count, size < bytes {
                let next = height &+ Int64(values.count)
                guard let block = try recentBlock(at: next) ?? store.block(at: next) else { break }
                size += block.block.count
                values.append(body(block))
            }
            return values
        }
    }

    private func recentBlock(at height: Int64) -> StoredBlock? {
        recent.withLock { recent in
            guard let first = recent.blocks.first, let last = recent.blocks.last else { return nil }
            guard height >= first.height, height <= last.height else { return nil }
            return recent.blocks[Int(height - first.height)]
        }
    }

    // MARK: Transactions

    /// Returns the committed transaction with an ID; nil if there is none. Reads on `worker`.
    func transaction(_ id: Hash, on worker: Worker) async throws -> StoredTransaction? {
        let store = store
        return try await worker.runForClient { try store.transaction(id) }
    }

    /// Returns the bytes of the first committed or waiting transactions of `ids`, until `limit` bytes are reached; nil for
    /// an unknown one. Reads on `worker` those that do not wait.
    func transactions(
        _ ids: [Hash], waiting: [Hash: SharedBytes], bytes limit: Int, on worker: Worker
    ) async throws -> [SharedBytes?] {
        if waiting.count == ids.count { return ids.contents(of: limit) { waiting[$0] } }
        let store = store
        return try await worker.run {
            ids.contents(of: limit) { id in
                waiting[id] ?? (try? store.transaction(id)).flatMap { $0?.bytes }
            }
        }
    }

    /// Whether a transaction was committed, as far as the index can tell. Reads the index: call it off the reactor.
    func isMined(_ id: Hash) -> Bool { (try? store.contains(id)) ?? false }
}

extension StoredBlock {
    /// The bytes that the block and its commit info hold.
    fileprivate var size: Int { block.count + commitInfo.count }
}

extension [Hash] {
    /// Returns what `bytes` gives for the first of these, until `limit` bytes are reached.
    fileprivate func contents(of limit: Int, _ bytes: (Hash) -> SharedBytes?) -> [SharedBytes?] {
        var found: [SharedBytes?] = []
        var total = 0
        for id in self where total < limit {
            let bytes = bytes(id)
            total += bytes?.count ?? 0
            found.append(bytes)
        }
        return found
    }
}
