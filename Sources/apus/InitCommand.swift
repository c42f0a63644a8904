import Arguments
import Bytes
import Chain
import Crypto
import JSON
import Log
import Node

/// `apus init`: creates a root directory for a node of a new chain or, with a genesis file, of an existing one.
struct InitCommand: Action {
    let root: String
    let chainID: String?
    let genesis: String?
    let key: String?
    let keyType: KeyType?
    let owner: String?
    let listen: [String]
    let rpcListen: [String]
    let bootnodes: [String]
    let output: OutputForm

    static var command: Command {
        Command(
            "init", "Create a root directory with key, genesis and configuration.",
            .required("root", .path("DIRECTORY"), "Directory to create."),
            .option(
                "chain-id", .text("ID"),
                "ID of the new chain; by default apus-chain- and eight random digits."),
            .option(
                "genesis", .path("FILE"),
                "Genesis file of an existing chain; without it the node is the only validator of a new one."),
            .option("key", .path("FILE"), "Key file to use; by default a new key."),
            .option("key-type", .keyType, "Type of the new key; secp256k1 by default."),
            .option(
                "owner", .account,
                "Account that may change the database, by default this node's: node ID, public key or Ethereum address."
            ),
            .repeated("listen", .listenAddress, "P2P address to listen on."),
            .repeated("rpc-listen", .listenAddress, "JSON-RPC address to listen on."),
            .repeated("bootnode", .peerAddress, "Peer to connect to, <node ID>@host:port."),
            OutputForm.parameter,
            action: InitCommand.init)
    }

    func validate() throws(UsageError) {
        if genesis != nil, chainID != nil || owner != nil {
            throw .inconsistent(
                "--genesis is for an existing chain, --chain-id and --owner are for a new one")
        }
        if key != nil, keyType != nil {
            throw .inconsistent("--key-type is for a new key, --key for an existing one")
        }
    }

    func run() async throws {
        let privateKey = try key.map { try KeyFile.load($0) } ?? PrivateKey.generate(keyType ?? .secp256k1)
        var configuration = Configuration()
        if !listen.isEmpty { configuration.p2p.listen = listen }
        if !rpcListen.isEmpty { configuration.rpc.listen = rpcListen }
        configuration.p2p.bootnodes = bootnodes
        let genesis = try chain(privateKey.publicKey)
        try RootDirectory(root).create(key: privateKey, genesis: genesis, configuration: configuration)
        let nodeID = privateKey.publicKey.nodeID
        switch output {
        case .text: try StandardOutput.print("\(EscapedText(root)): node \(nodeID)")
        case .json:
            try StandardOutput.print(
                JSONLine.object {
                    $0.member("root", text: root)
                    $0.member("node_id", text: nodeID)
                    $0.member("chain_id", text: genesis.chainID)
                })
        }
    }

    /// Returns a random ID: chains with the same ID would accept each other's transactions.
    private static func randomChainID() -> String {
        "apus-chain-\(Hex.encode((0..<4).map { _ in UInt8.random(in: .min ... .max) }))"
    }

    private func chain(_ node: PublicKey) throws -> Genesis {
        if let genesis { return try Genesis.load(genesis) }
        let chain = Genesis(
            chainID: chainID ?? Self.randomChainID(), initialHeight: 0, databaseOwner: owner ?? node.nodeID,
            validators: ValidatorSet([Validator(key: node, power: 1)]), allocations: [],
            parameters: NetworkParameters(leader: node))
        // Checks the values from the command line as the node will when it reads the file.
        return try Genesis(json: Array(chain.json.utf8), file: "genesis")
    }
}
