import Chain
import Crypto
import Multiformats
import Protocols
import Reactor
import Storage

/// Serves committed blocks to peers, straight from the mapped log.
@ReactorActor
final class BlockService: BlockSource {
    private let context: NodeContext

    init(_ context: NodeContext) { self.context = context }

    func start() {
        let (blocks, heights) = (BlockProtocol(self), BlockHeightProtocol(self))
        context.host.setStreamHandler(KwilProtocol.block) { await blocks.serve($0) }
        context.host.setStreamHandler(KwilProtocol.blockHeight) { await heights.serve($0) }
        context.host.setStreamHandler(KwilProtocol.blockHeightBest) { await heights.serve($0) }
    }

    var bestHeight: Int64 { context.store.tip?.height ?? 0 }

    func block(height: Int64) async -> ServedBlock? { await read { try $0.block(at: height) } }

    func block(hash: Hash) async -> ServedBlock? { await read { try $0.block(hash: hash) } }

    /// Reads on a worker: a cold page of the log must not stop the reactor.
    private func read(_ body: @escaping @Sendable (BlockStore) throws -> StoredBlock?) async -> ServedBlock? {
        let store = context.store
        do {
            return try await context.checks.run { try body(store) }.map {
                ServedBlock(height: $0.height, hash: $0.hash, block: $0.block, commitInfo: $0.commitInfo)
            }
        } catch {
            context.logger.error("block cannot be read", metadata: ["error": "\(error)"])
            return nil
        }
    }
}
