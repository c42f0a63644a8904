import Bytes
import Chain
import Crypto
import Execution
import Log
import TestSupport

@testable import Node

/// A network inside the test process: nodes on loopback, each with its own root directory, which can be stopped and
/// started individually.
final class LocalNetwork {
    /// The condition that a test waited for did not become true.
    struct Unreached: Error, CustomStringConvertible {
        let description: String
    }

    static let chainID = "local-network"
    /// The maximum time for which a broken network can hold up the tests.
    static let patience = Duration.seconds(60)

    /// The database's owner, who signs every statement.
    let owner: PrivateKey
    let genesis: Genesis
    /// The leader first, then validators, then sentries.
    let names: [String]
    private let directory: TemporaryDirectory
    private let keys: [PrivateKey]
    private let validatorCount: Int
    private var addresses: [String: String] = [:]
    private(set) var nodes: [String: Node] = [:]
    /// The owner's last nonce.
    var nonce: UInt64 = 0

    private init(validators: Int, sentries: Int) throws {
        validatorCount = validators
        names =
            ["leader"] + (0..<validators).map { "validator-\($0 + 1)" }
            + (0..<sentries).map { "sentry-\($0 + 1)" }
        keys = try names.indices.map { try PrivateKey.generate($0 % 2 == 0 ? .secp256k1 : .ed25519) }
        owner = try PrivateKey.generate(.ed25519)
        directory = try TemporaryDirectory()
        genesis = Genesis(
            chainID: Self.chainID, initialHeight: 0, databaseOwner: owner.publicKey.nodeID,
            validators: ValidatorSet(keys[...validators].map { Validator(key: $0.publicKey, power: 1) }),
            allocations: [], parameters: NetworkParameters(leader: keys[0].publicKey))
    }

    /// Creates a network, runs `body`, and stops all nodes.
    static func run<T>(
        validators: Int = 2, sentries: Int = 1, _ body: (LocalNetwork) async throws -> T
    ) async throws -> T {
        let network = try LocalNetwork(validators: validators, sentries: sentries)
        let outcome: Result<T, any Error>
        do {
            outcome = .success(try await body(network))
        } catch {
            outcome = .failure(error)
        }
        for name in network.names { await network.stop(name) }
        return try outcome.get()
    }

    func root(_ name: String) -> RootDirectory { RootDirectory("\(directory.path)/\(name)") }

    // MARK: Nodes

    /// Starts a node, on any free port the first time and then on the same one. Sentries dial the first validator,
    /// validators the leader, the leader none.
    @discardableResult
    func start(
        _ name: String, log: Log = .silent, _ configure: (inout Configuration) -> Void = { _ in }
    ) async throws -> Node {
        guard let index = names.firstIndex(of: name) else { throw Unreached(description: "no \(name)") }
        var configuration = Configuration()
        // Several threads also on a small machine.
        configuration.reactor.checkThreads = 4
        configuration.p2p.listen = [addresses[name] ?? "127.0.0.1:0"]
        configuration.consensus.proposeTimeout = .milliseconds(50)
        configuration.consensus.emptyBlockTimeout = .zero
        let boot = index > validatorCount && validatorCount > 0 ? 1 : 0
        if index != boot, let address = addresses[names[boot]] {
            configuration.p2p.bootnodes = ["\(keys[boot].publicKey.nodeID)@\(address)"]
        }
        configure(&configuration)
        let root = root(name)
        if !TestFile.exists(root.keyFile) {
            try root.create(key: keys[index], genesis: genesis, configuration: configuration)
        }
        let node = try await Node.start(root: root, configuration: configuration, log: log)
        nodes[name] = node
        let listen = await node.status().listenAddresses.first ?? ""
        guard let port = listen.split(separator: "/").last else {
            throw Unreached(description: "\(name) listens on \"\(listen)\"")
        }
        addresses[name] = "127.0.0.1:\(port)"
        return node
    }

    /// Starts all nodes, in the order of `names`.
    func startAll() async throws {
        for name in names { try await start(name) }
    }

    /// Starts all nodes, waits until each has a peer, and creates the table `t` at one of them.
    func startAll(withTableAt name: String) async throws {
        try await startAll()
        try await connected()
        try await commit(Self.createTable, at: name)
    }

    /// Returns a node's key.
    func key(_ name: String) throws -> PrivateKey {
        guard let index = names.firstIndex(of: name) else { throw Unreached(description: "no \(name)") }
        return keys[index]
    }

    /// Returns a running node's address, as in `bootnodes`.
    func bootnode(_ name: String) throws -> String {
        "\(try key(name).publicKey.nodeID)@\(addresses[name] ?? "")"
    }

    /// Removes a stopped node's stores, as a lost disk would.
    func wipe(_ name: String) throws {
        let root = root(name)
        for directory in [root.blocksDirectory, root.applicationDirectory] {
            try TestFile.remove(directory)
        }
    }

    func stop(_ name: String) async { await nodes.removeValue(forKey: name)?.stop() }

    func node(_ name: String) throws -> Node {
        guard let node = nodes[name] else { throw Unreached(description: "\(name) does not run") }
        return node
    }

    // MARK: Transactions

    /// Returns a signed statement with the owner's next nonce, unless one is given.
    func transaction(
        _ sql: String, _ parameters: [RawStatement.Parameter] = [], nonce given: UInt64? = nil,
        chainID: String = LocalNetwork.chainID, by key: PrivateKey? = nil
    ) throws -> Transaction {
        if given == nil { nonce += 1 }
        return try .signed(
            TransactionBody(
                .rawStatement(RawStatement(sql, parameters)), nonce: given ?? nonce, chainID: chainID),
            by: key ?? owner)
    }

    /// Submits a statement at a node and waits for its result.
    @discardableResult
    func commit(
        _ sql: String, _ parameters: [RawStatement.Parameter] = [], at name: String
    ) async throws -> TransactionResult? {
        let transaction = try transaction(sql, parameters)
        return try await node(name).broadcast(transaction.bytes, waitForCommit: true).result
    }

    /// Submits a payload signed by a node's key at another node and waits for its result.
    func commit(_ payload: Payload, by signer: String, at name: String) async throws -> TransactionResult? {
        let (node, key) = (try node(name), try key(signer))
        let nonce = try await node.account(AccountID(key.publicKey))?.nonce ?? 0
        let transaction = try Transaction.signed(
            TransactionBody(payload, nonce: nonce + 1, chainID: Self.chainID), by: key)
        return try await node.broadcast(transaction.bytes, waitForCommit: true).result
    }

    static let createTable = "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, name TEXT)"

    /// Submits inserts of these rows at a node without waiting for their commit.
    func insert(_ rows: Range<Int64>, at name: String) async throws {
        for row in rows {
            let transaction = try transaction(
                "INSERT INTO t (id, name) VALUES ($id, $name)",
                [.init("$id", .int8(row)), .init("$name", .text("row \(row)"))])
            _ = try await node(name).broadcast(transaction.bytes, waitForCommit: false)
        }
    }

    // MARK: Waiting

    /// Evaluates `condition` until it returns no complaint.
    static func wait(_ condition: () async throws -> String?) async throws {
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: patience)
        while let complaint = try await condition() {
            guard clock.now < deadline else { throw Unreached(description: complaint) }
            try await clock.sleep(for: .milliseconds(20))
        }
    }

    /// Waits until the table `t` of every running node holds exactly the rows 0..<count, and all have the same height,
    /// block hash and app hash.
    func agree(rows count: Int64) async throws {
        try await Self.wait {
            var lines: [String] = []
            for name in names {
                guard let node = nodes[name] else { continue }
                let status = await node.status()
                let rows: String
                do {
                    let result = try await node.query(
                        "SELECT count(*), coalesce(sum(id), 0), count(DISTINCT name) FROM t", [],
                        .long)
                    rows = "\(result.rows)"
                } catch {
                    rows = "\(error)"
                }
                lines.append("\(status.height) \(status.blockHash) \(status.appHash) \(rows)")
            }
            let expected: [[Value]] = [[.int8(count), .int8(count * (count - 1) / 2), .int8(count)]]
            let isAgreed = Set(lines).count == 1 && lines[0].hasSuffix("\(expected)")
            return isAgreed ? nil : "nodes differ:\n" + lines.joined(separator: "\n")
        }
    }

    /// Waits until every running node has at least `count` peers.
    func connected(_ count: Int = 1) async throws {
        try await Self.wait {
            for (name, node) in nodes {
                let peers = await node.status().peerCount
                if peers < count { return "\(name) has \(peers) peers" }
            }
            return nil
        }
    }
}
