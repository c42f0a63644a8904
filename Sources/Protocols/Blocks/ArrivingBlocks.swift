import Chain
import Collections
import Crypto
import Multiformats
import Reactor

/// The proposed blocks whose transactions this node passes on, the validators that wait for one, and the validators that have
/// not passed on theirs.
@ReactorActor
public final class ArrivingBlocks {
    /// The maximum number of blocks: the proposals of two heights, and a second one of each.
    public static let capacity = 4
    /// The maximum number of requests that are being answered: at most one per round and validator.
    public static let requests = 2_048
    /// How long a request waits for the proposal, which may still be on its way.
    static let patience = Duration.seconds(1)
    /// How long a validator that has let this node down is not asked.
    static let punishment = Duration.seconds(30)

    private var blocks: OrderedDictionary<Hash, ArrivingBlock> = [:]
    private var waiting: OrderedDictionary<Hash, [Signal]> = [:]
    private var places = SharedPlaces<PeerID>(capacity: requests, perPeer: BlockShares.rounds)
    private var letDowns: OrderedDictionary<PeerID, Duration> = [:]

    /// Creates an empty set.
    public init() {}

    /// The number of blocks.
    public var count: Int { blocks.count }
    /// The number of requests that are being answered.
    public var requestCount: Int { places.count }

    /// The bytes of a block's transactions that other validators than its announcer have sent.
    public func bytesFromKeepers(of block: Hash) -> Int { blocks[block]?.bytesFromKeepers ?? 0 }

    /// Adds a block, of which others may want transactions.
    func add(_ block: ArrivingBlock) {
        blocks.removeValue(forKey: block.hash)?.end()
        if blocks.count >= Self.capacity {
            blocks.first { _ in true }?.value.end()
            blocks.removeFirst()
        }
        blocks[block.hash] = block
        for signal in waiting.removeValue(forKey: block.hash) ?? [] { signal.fire() }
    }

    /// The verified block is here, whoever has sent it.
    public func complete(_ hashed: HashedBlock) {
        if let arriving = blocks[hashed.block.hash] { return arriving.complete(hashed) }
        add(ArrivingBlock(hashed))
    }

    /// Ends what has not been completed: the block's announcer has failed.
    public func end(_ block: Hash) { blocks[block]?.end() }

    /// Removes blocks of committed heights. Requests that are being answered get what is here.
    public func remove(upTo height: Int64) {
        for (hash, block) in blocks where block.height <= height {
            blocks[hash] = nil
            block.end()
        }
    }

    /// Runs `body` with a block that a validator wants transactions of, and waits for the block a little. Does nothing if the
    /// block does not come, or if the validator has too many requests.
    func serve(
        _ hash: Hash, to peer: PeerID, _ body: @ReactorActor (ArrivingBlock) async throws -> Void
    ) async throws {
        guard places.take(peer, isTrusted: true) else { return }
        defer { places.release(peer) }
        if blocks[hash] == nil { await wait(for: hash) }
        if let block = blocks[hash] { try await body(block) }
    }

    private func wait(for hash: Hash) async {
        let signal = Signal()
        waiting[hash, default: []].append(signal)
        await signal.wait(until: Reactor.now + Self.patience)
        waiting[hash]?.removeAll { $0 === signal }
        if waiting[hash]?.isEmpty ?? false { waiting[hash] = nil }
    }

    // MARK: Let down

    /// A validator has not passed on its share in time, or has sent something else.
    func letDown(by peer: PeerID) {
        let now = Reactor.now
        for (other, until) in letDowns where until <= now { letDowns[other] = nil }
        letDowns[peer] = now + Self.punishment
    }

    /// Whether to ask a validator for its share.
    func relies(on peer: PeerID) -> Bool { letDowns[peer].map { $0 <= Reactor.now } ?? true }
}
