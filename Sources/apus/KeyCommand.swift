import Arguments
import Bytes
import Crypto
import Multiformats

/// `apus key`: creates and shows the keys of nodes and accounts.
enum KeyCommand {
    static var command: Command {
        Command("key", "Create and show keys.", subcommands: [New.command, Show.command])
    }

    /// `apus key new`.
    struct New: Action {
        let file: String
        let type: KeyType

        static var command: Command {
            Command(
                "new", "Create a key file with mode 0600.",
                .argument(.path("FILE"), "File to create; it must not exist."),
                .option("type", .keyType, default: .secp256k1, "Type of the key."),
                action: New.init)
        }

        func run() async throws {
            let key = try PrivateKey.generate(type)
            try KeyFile.save(key, to: file)
            try KeyCommand.show(key.publicKey)
        }
    }

    /// `apus key show`.
    struct Show: Action {
        let file: String

        static var command: Command {
            Command(
                "show", "Show a key's node ID, peer ID and Ethereum address.",
                .argument(.path("FILE"), "Key file."),
                action: Show.init)
        }

        func run() async throws { try KeyCommand.show(try KeyFile.load(file).publicKey) }
    }

    private static func show(_ key: PublicKey) throws {
        try StandardOutput.print("node ID   \(key.nodeID)")
        try StandardOutput.print("peer ID   \(key.peerID)")
        if let address = key.ethereumAddress {
            try StandardOutput.print("Ethereum  0x\(Hex.encode(address))")
        }
    }
}
