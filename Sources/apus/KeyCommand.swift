import ArgumentParser
import Crypto
import Multiformats

/// `apus key`: node and account keys.
struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Make and show keys.", subcommands: [New.self, Show.self])

    /// `apus key new`.
    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make a key file, mode 0600.")

        @Argument(help: "The file to make; it must not exist.")
        var file: String

        @Option(help: "secp256k1 or ed25519.")
        var type = "secp256k1"

        func run() throws {
            let key = try PrivateKey.generate(try KeyType(name: type))
            try KeyFile.save(key, to: file)
            KeyCommand.show(key.publicKey)
        }
    }

    /// `apus key show`.
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a key file's public side: node ID, peer ID and Ethereum address.")

        @Argument(help: "The key file.")
        var file: String

        func run() throws {
            KeyCommand.show(try KeyFile.load(file).publicKey)
        }
    }

    private static func show(_ key: PublicKey) {
        print("node ID   \(key.nodeID)")
        print("peer ID   \(key.peerID)")
        if let address = key.ethereumAddress { print("Ethereum  0x\(Hex.encode(address))") }
    }
}
