import Bytes
import Chain
import Crypto
import Reactor

/// A proposed block whose transactions come from the leader and from other validators. This node passes them on as they come
/// (docs/protocols.md, "Shares").
@ReactorActor
public final class ArrivingBlock {
    /// The block's hash.
    public let hash: Hash
    /// The block's height.
    public let height: Int64
    /// The bytes of transactions that other validators than the announcer have sent.
    public private(set) var bytesFromKeepers = 0
    /// Whether nothing more comes.
    private(set) var isOver = false
    /// What has come, unverified; nil once the whole block is here.
    private(set) var assembly: BlockAssembly?
    /// The verified block.
    private(set) var whole: HashedBlock?
    /// The places of the transactions, in the order in which they came.
    private var order: [Int]
    private var watchers: [Signal] = []

    init(_ assembly: BlockAssembly, _ hash: Hash, height: Int64) {
        (self.hash, self.height, self.assembly) = (hash, height, assembly)
        order = (0..<assembly.count).filter { assembly.transaction(at: $0) != nil }
    }

    init(_ hashed: HashedBlock) {
        (hash, height, whole) = (hashed.block.hash, hashed.block.height, hashed)
        order = Array(hashed.block.transactions.indices)
        isOver = true
    }

    /// The number of transactions, here or not.
    var count: Int { assembly?.count ?? whole?.block.transactions.count ?? 0 }

    /// The places of the missing transactions.
    var missing: PlaceSet { assembly?.missingPlaces ?? PlaceSet(capacity: count) }

    /// The number of missing transactions.
    var missingCount: Int { assembly?.missing ?? 0 }

    /// Whether no transaction is missing.
    var isComplete: Bool { missingCount == 0 }

    private func transaction(at place: Int) -> SharedBytes? {
        if let whole { whole.block.transactions[place] } else { assembly?.transaction(at: place) }
    }

    /// Takes transactions. Throws at the first one that is not the listed one.
    func take(_ transactions: [PlacedTransaction], fromKeeper: Bool) throws(ChainError) {
        defer { fire() }
        for placed in transactions {
            guard try assembly?.take(placed) ?? false else { continue }
            order.append(placed.place)
            if fromKeeper { bytesFromKeepers &+= placed.bytes.count }
        }
    }

    /// Ends the arrival, if the whole block is not here.
    func end() {
        isOver = true
        fire()
    }

    /// The verified block is here, whoever has sent it.
    func complete(_ hashed: HashedBlock) {
        guard whole == nil else { return }
        order += missing.places
        whole = hashed
        assembly = nil
        end()
    }

    // MARK: Watching

    /// Fires the signal whenever a transaction has come, and at the end.
    func watch(_ signal: Signal) { watchers.append(signal) }

    func unwatch(_ signal: Signal) { watchers.removeAll { $0 === signal } }

    private func fire() {
        for watcher in watchers { watcher.fire() }
    }

    /// Calls `send` for each wanted transaction, in the order in which they come, and `pause` before it waits for more. Returns at
    /// the end of the arrival at the latest.
    func passOn(
        _ wanted: PlaceSet, pause: @ReactorActor () async throws -> Void,
        send: @ReactorActor (SharedBytes, Int) async throws -> Void
    ) async throws {
        let signal = Signal()
        watch(signal)
        defer { unwatch(signal) }
        var (left, next) = (wanted.places.count, 0)
        while left > 0 {
            if next < order.count {
                let place = order[next]
                next += 1
                guard wanted[place], let transaction = transaction(at: place) else { continue }
                try await send(transaction, place)
                left -= 1
            } else if isOver {
                return
            } else {
                try await pause()
                if next == order.count, !isOver { await signal.wait() }
            }
        }
    }
}
