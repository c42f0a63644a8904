import ArgumentParser
import Chain
import Crypto
import Node

/// `apus init`: a root directory for a node of a new chain or, with a genesis file, of an existing one.
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make a root directory: key, genesis and configuration.")

    @Option(help: "The directory to make.")
    var root: String

    @Option(help: "The new chain's ID.")
    var chainID = "apus-chain"

    @Option(
        help: "Genesis file of an existing chain; without it the node is the only validator of a new one.")
    var genesis: String?

    @Option(help: "Key file to use; without it a key is made.")
    var key: String?

    @Option(help: "Type of the key to make: secp256k1 or ed25519.")
    var keyType = "secp256k1"

    @Option(help: "Who may change the database: node ID, public key or Ethereum address; default: this node.")
    var owner: String?

    @Option(help: "P2P address host:port.")
    var listen: String?

    @Option(help: "JSON-RPC address host:port.")
    var rpcListen: String?

    @Option(help: "A peer to connect to, <node ID>@host:port; may be given several times.")
    var bootnode: [String] = []

    func run() throws {
        let privateKey: PrivateKey
        if let key {
            privateKey = try KeyFile.load(key)
        } else {
            privateKey = try PrivateKey.generate(try KeyType(name: keyType))
        }
        var configuration = Configuration()
        if let listen { configuration.p2p.listen = listen }
        if let rpcListen { configuration.rpc.listen = rpcListen }
        configuration.p2p.bootnodes = bootnode
        try RootDirectory(root).create(
            key: privateKey, genesis: try chain(privateKey.publicKey), configuration: configuration)
        print("\(root): node \(privateKey.publicKey.nodeID)")
    }

    private func chain(_ node: PublicKey) throws -> Genesis {
        if let genesis { return try Genesis.load(genesis) }
        let chain = Genesis(
            chainID: chainID, initialHeight: 0, databaseOwner: owner ?? node.nodeID,
            validators: ValidatorSet([Validator(key: node, power: 1)]), allocations: [],
            parameters: NetworkParameters(leader: node))
        // What is written must be read again, whatever was given on the command line.
        return try Genesis(json: Array(chain.json.utf8), file: "genesis")
    }
}
