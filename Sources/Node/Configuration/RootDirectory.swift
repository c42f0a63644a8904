import Bytes
import Chain
import Crypto
import Glibc

/// The files of a node's root directory (docs/wire.md, section 9).
public struct RootDirectory: Sendable {
    /// The maximum size of `config.toml`, in bytes: enough for every key and thousands of peers.
    static let maximumConfigurationSize = 1 << 20

    /// The path of the directory.
    public let path: String

    /// Names a directory without touching it.
    public init(_ path: String) { self.path = path }

    /// `config.toml`.
    public var configurationFile: String { "\(path)/config.toml" }
    /// `genesis.json`.
    public var genesisFile: String { "\(path)/genesis.json" }
    /// `nodekey.json`, mode 0600.
    public var keyFile: String { "\(path)/nodekey.json" }
    /// `addrbook.json`.
    public var addressBookFile: String { "\(path)/addrbook.json" }
    /// `mempool`: the transactions that were unconfirmed when the node stopped.
    public var mempoolFile: String { "\(path)/mempool" }
    /// The block log, its indexes and the vote log.
    public var blocksDirectory: String { "\(path)/blocks" }
    /// The application's database.
    public var applicationDirectory: String { "\(path)/application" }

    /// Creates the directory, mode 0700, with a key, a genesis and a configuration. Overwrites no file.
    public func create(key: PrivateKey, genesis: Genesis, configuration: Configuration) throws {
        for file in [keyFile, genesisFile, configurationFile] where access(file, F_OK) == 0 {
            throw NodeError.failed("\(file): already exists and is not overwritten")
        }
        do {
            try DirectoryTree.create(path, mode: 0o700)
        } catch {
            throw NodeError.failed(
                "\(error.path): cannot be written: \(String(cString: strerror(error.code)))")
        }
        try KeyFile.save(key, to: keyFile)
        try write(genesis.json, to: genesisFile)
        try write(configuration.fileText, to: configurationFile)
    }

    private func write(_ text: String, to file: String) throws(NodeError) {
        do {
            try FileContent.create(file, Array(text.utf8))
        } catch {
            throw .failed("\(file): cannot be written: \(error)")
        }
    }

    /// Reads `config.toml`. A missing file means the defaults, unless it `mustExist`.
    public func configuration(mustExist: Bool = false) throws -> Configuration {
        let text: [UInt8]
        do {
            text = try FileContent.read(configurationFile, limit: Self.maximumConfigurationSize)
        } catch .system(ENOENT) where !mustExist {
            return Configuration()
        } catch {
            throw NodeError.failed("\(configurationFile): cannot be read: \(error)")
        }
        return try Configuration(parsing: text, file: configurationFile)
    }
}
