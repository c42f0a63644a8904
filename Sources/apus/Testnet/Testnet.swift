import API
import Arguments
import Bytes
import Chain
import Crypto
import Glibc
import Node

/// A network of real processes on loopback that commits a file's rows and proves that every node holds them (`apus
/// testnet`).
struct Testnet: Sendable {
    /// The chain ID in the genesis and in every transaction.
    static let chainID = "apus-testnet"
    /// A file that marks a root directory that the next test network may delete.
    private static let marker = ".apus-testnet"

    let options: TestnetCommand
    let records: Records
    let nodes: [NodeProcess]
    /// The owner of the database, who creates the table and grants access to the senders. Its key file lets the user of a kept
    /// network do the same.
    let owner: PrivateKey
    /// The file with the owner's key.
    let ownerFile: String

    /// Reads the input, and writes the root directories of all nodes with key, genesis and configuration.
    init(_ options: TestnetCommand) throws {
        self.options = options
        records = try Records(file: options.input)
        try Self.prepare(options.root)
        owner = try PrivateKey.generate(.secp256k1)
        ownerFile = "\(options.root)/owner.json"
        try KeyFile.save(owner, to: ownerFile)

        // Alternates between the two key types, since networks use both.
        let names =
            ["leader"] + (1...options.validators).map { "validator-\($0)" }
            + (0..<options.sentries).map { "sentry-\($0 + 1)" }
        let keys = try names.indices.map { try PrivateKey.generate($0 % 2 == 0 ? .secp256k1 : .ed25519) }
        let ports = try LoopbackPorts.free(names.count * 2)
        var nodes: [NodeProcess] = []
        for (index, name) in names.enumerated() {
            let role: RoleName =
                index == 0 ? .leader : index <= options.validators ? .validator : .sentry
            nodes.append(
                NodeProcess(
                    name: name, role: role, root: "\(options.root)/\(name)", p2pPort: ports[index * 2],
                    rpcPort: ports[index * 2 + 1]))
        }
        self.nodes = nodes

        var parameters = NetworkParameters(leader: keys[0].publicKey)
        parameters.disabledGasCosts = true
        let validators = keys[...options.validators].map { Validator(key: $0.publicKey, power: 1) }
        let genesis = Genesis(
            chainID: Self.chainID, initialHeight: 0, databaseOwner: owner.publicKey.nodeID,
            validators: ValidatorSet(validators), allocations: [], parameters: parameters)
        for (index, node) in nodes.enumerated() {
            var configuration = Configuration()
            configuration.log.format = "plain"
            configuration.p2p.listen = ["127.0.0.1:\(node.p2pPort)"]
            // A sentry's only bootnode is a validator, so that transactions pass through it on their way to the leader.
            let boot = node.role == .sentry ? 1 : 0
            if index != boot {
                configuration.p2p.bootnodes = [
                    "\(keys[boot].publicKey.nodeID)@127.0.0.1:\(nodes[boot].p2pPort)"
                ]
            }
            configuration.rpc.listen = [node.rpcAddress]
            configuration.consensus.proposeTimeout = .milliseconds(200)
            configuration.consensus.emptyBlockTimeout = .zero
            configuration.reactor.driver = options.reactor.rawValue
            try RootDirectory(node.root).create(
                key: keys[index], genesis: genesis, configuration: configuration)
        }
    }

    /// Deletes the files of an earlier test network, and nothing else.
    private static func prepare(_ root: String) throws {
        do {
            if let content = try DirectoryTree.names(in: root) {
                guard content.isEmpty || content.contains(Array(marker.utf8)) else {
                    throw CommandFailure("\(root) is not empty and not a test network's: name another --root")
                }
                try DirectoryTree.remove(root)
            }
            try DirectoryTree.create(root)
            try FileContent.create("\(root)/\(marker)", [])
        } catch let error as FileContent.Failure {
            throw CommandFailure("\(root)/\(marker): \(error)")
        }
    }

    /// Runs the network until its proof. The caller stops the nodes.
    func run(_ display: TestnetDisplay) async throws -> TestnetProof {
        let table = RecordTable(records: records)
        display.note(
            "\(options.input): \(records.rows.count) rows of \(records.columns.count) columns; "
                + "\(nodes.count) nodes under \(options.root)")
        for node in nodes { try node.start() }
        let watch = try TestnetWatch(nodes)
        try await watch.waitUntilConnected()

        let entry = nodes.last { $0.role == .sentry } ?? nodes[nodes.count - 1]
        let submission = try Submission(
            table: table, owner: owner, chainID: Self.chainID, to: entry.rpcAddress)
        try await submission.prepare()
        let baseline = await watch.committed()
        let start = ContinuousClock.now
        let total = records.rows.count
        let end = try await withThrowingTaskGroup(of: ContinuousClock.Instant?.self) { group in
            group.addTask {
                try await submission.run()
                return nil
            }
            group.addTask {
                try await watch.follow(until: baseline + UInt64(total)) { rows in
                    let done = Int(clamping: rows.map(\.committed).min() ?? 0) - Int(baseline)
                    display.progress(rows, done: max(0, done), total: total, since: start)
                }
            }
            // A failure of either task ends both.
            return try await group.reduce(start) { end, last in last ?? end }
        }
        return try await TestnetProof(
            nodes: nodes, table: table, transactions: total, seconds: (end - start) / .seconds(1))
    }

    /// Stops all nodes. Returns when every process has ended.
    func stop() async {
        for node in nodes { node.terminate() }
        for node in nodes { await node.join() }
    }
}
