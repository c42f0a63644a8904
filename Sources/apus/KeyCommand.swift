import Arguments
import Bytes
import Crypto
import JSON
import Multiformats

/// `apus key`: creates and shows the keys of nodes and accounts.
enum KeyCommand {
    static var command: Command {
        Command(
            "key", "Create and show keys.",
            subcommands: [Subcommand("new", New.command), Subcommand("show", Show.command)])
    }

    /// `apus key new`.
    struct New: Action {
        let file: String
        let type: KeyType
        let output: OutputForm

        static var command: Command {
            Command(
                "new", "Create a key file with mode 0600.",
                .argument(.path("FILE"), "File to create; it must not exist."),
                .option("type", .keyType, default: .secp256k1, "Type of the key."),
                OutputForm.parameter,
                action: New.init)
        }

        func run() async throws {
            let key = try PrivateKey.generate(type)
            try KeyFile.save(key, to: file)
            try KeyCommand.show(key.publicKey, output)
        }
    }

    /// `apus key show`.
    struct Show: Action {
        let file: String
        let output: OutputForm

        static var command: Command {
            Command(
                "show", "Show a key's node ID, peer ID and Ethereum address.",
                .argument(.path("FILE"), "Key file."),
                OutputForm.parameter,
                action: Show.init)
        }

        func run() async throws { try KeyCommand.show(try KeyFile.load(file).publicKey, output) }
    }

    private static func show(_ key: PublicKey, _ output: OutputForm) throws {
        if output == .json {
            return try StandardOutput.print(
                JSONLine.object {
                    $0.member("node_id", text: key.nodeID)
                    $0.member("peer_id", text: "\(key.peerID)")
                    guard let address = key.ethereumAddress else { return }
                    $0.member("ethereum_address", text: "0x\(Hex.encode(address))")
                })
        }
        try StandardOutput.print("node ID   \(key.nodeID)")
        try StandardOutput.print("peer ID   \(key.peerID)")
        if let address = key.ethereumAddress {
            try StandardOutput.print("Ethereum  0x\(Hex.encode(address))")
        }
    }
}
