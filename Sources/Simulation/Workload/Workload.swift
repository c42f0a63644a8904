import Bytes
import Chain
import Collections
import Crypto
import Node
import Reactor

/// The clients: each sends one transaction after another to any node that accepts it, repeats some, sends some
/// malformed ones, and records the replies.
@ReactorActor
final class Workload {
    /// Transactions reported to clients as committed, and the reporting nodes.
    private(set) var acknowledged: [(id: Hash, by: String)] = []
    /// Transactions that a node has accepted.
    private(set) var accepted: [Hash] = []
    private(set) var refused = 0
    private var isOver = false
    private let keys: [PrivateKey]
    /// The database's owner, if the application is SQL and there are clients.
    private let owner: PrivateKey?
    private var statements: SQLWorkload
    private let chainID: String
    private let seed: UInt64
    /// Whether blocks can hold long transactions.
    private let mayBeLong: Bool
    private let runs: Int
    private(set) var idle = 0

    init(_ options: SimulationOptions, keys: [PrivateKey], owner: PrivateKey, chainID: String) {
        self.keys = keys
        self.owner = options.execution == .sql && !keys.isEmpty ? owner : nil
        statements = SQLWorkload(seed: options.seed, clients: keys.map(\.publicKey))
        self.chainID = chainID
        seed = options.seed
        mayBeLong = options.maxBlockSize >= 1 << 20
        runs = keys.count + (self.owner == nil ? 0 : 1)
    }

    /// Starts the clients.
    func start(_ world: World) {
        for (index, key) in (keys + [owner].compactMap { $0 }).enumerated() {
            Reactor.spawn { [unowned self, unowned world] in
                await run(index, key, world)
                idle += 1
            }
        }
    }

    /// Sends no new transactions; those in progress are sent until they are committed.
    func stop() { isOver = true }

    /// Whether all transactions sent are committed.
    var isDone: Bool { idle == runs }

    private func run(_ index: Int, _ key: PrivateKey, _ world: World) async {
        var random = SeededGenerator(seed: seed, stream: "client \(index)")
        var nonce: UInt64 = 0
        while !isOver, world.failure == nil {
            try? await Reactor.sleep(for: random.milliseconds(10...1_500))
            if random.oneIn(8) {
                await annoy(key, nonce, world, &random)
                continue
            }
            nonce += 1
            guard let transaction = try? make(key, nonce, &random) else { continue }
            await send(transaction, world, &random)
        }
    }

    /// The payload of a transaction that its peers pass on to each other (`Mempool.longTransaction`).
    static let long = Payload.other(type: "execute", bytes: SharedBytes([UInt8](repeating: 7, count: 20_000)))

    private func make(
        _ key: PrivateKey, _ nonce: UInt64, _ random: inout SeededGenerator
    ) throws -> Transaction {
        let payload: Payload
        if key.publicKey == owner?.publicKey {
            payload = .rawStatement(statements.next(after: max(nonce, 1) - 1, &random))
        } else if owner != nil, random.oneIn(2) {
            payload = .rawStatement(SQLWorkload.ordinary(&random))
        } else if mayBeLong, random.oneIn(10) {
            payload = Self.long
        } else {
            let target = AccountID(random.pick(keys)?.publicKey ?? key.publicKey)
            payload = .transfer(to: target, amount: Amount(Int64(random.next() % 10)))
        }
        return try Transaction.signed(TransactionBody(payload, nonce: nonce, chainID: chainID), by: key)
    }

    /// Sends a transaction until a node has committed it.
    private func send(
        _ transaction: Transaction, _ world: World, _ random: inout SeededGenerator
    ) async {
        while world.failure == nil {
            let running = world.nodes.filter { $0.node != nil }
            if let machine = random.pick(running), let node = machine.node {
                let waits = random.oneIn(3)
                do {
                    let outcome = try await node.broadcast(transaction.bytes, waitForCommit: waits)
                    accepted.append(transaction.id)
                    if outcome.result != nil {
                        acknowledged.append((transaction.id, machine.name))
                        if world.chain.heights[transaction.id] == nil {
                            world.fail("acknowledged", "\(machine.name) reported \(transaction.id) too early")
                        }
                    }
                    world.trace.note(
                        "client", "\(machine.name) accepts \(transaction.id) \(outcome.result != nil)")
                } catch {
                    world.trace.note("client", "\(machine.name) \(transaction.id): \(error)")
                }
            }
            let isCommitted = await world.wait(.seconds(5)) { world.chain.heights[transaction.id] != nil }
            if isCommitted { return }
        }
    }

    /// Sends a transaction that is truncated, changed, possibly out of date, or far ahead in its nonce.
    private func annoy(
        _ key: PrivateKey, _ nonce: UInt64, _ world: World, _ random: inout SeededGenerator
    ) async {
        guard let node = random.pick(world.nodes.filter { $0.node != nil })?.node,
            let transaction = try? make(key, nonce, &random)
        else { return }
        var bytes = transaction.bytes.withUnsafeBytes { Array($0) }
        // Truncated; or changed, which an unused byte of a signature survives; or with a nonce that may be used
        // already; or large, with a nonce whose turn never comes.
        let kind = random.next() % 4
        if kind == 0 { bytes.removeLast(1 + Int(random.next() % UInt64(bytes.count - 1))) }
        if kind == 1 {
            bytes[Int(random.next() % UInt64(bytes.count))] ^= UInt8(1) << UInt8(random.next() % 8)
        }
        if kind == 3 {
            let body = TransactionBody(Self.long, nonce: nonce + 1_000_000, chainID: chainID)
            guard let large = try? Transaction.signed(body, by: key) else { return }
            bytes = large.bytes.withUnsafeBytes { Array($0) }
        }
        do {
            _ = try await node.broadcast(SharedBytes(bytes), waitForCommit: false)
            if kind == 0 {
                world.fail("mempool", "half a transaction was accepted: \(Hash.sha256(of: bytes))")
            }
        } catch {
            refused += 1
        }
    }
}
