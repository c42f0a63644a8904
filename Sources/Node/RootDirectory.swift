import Chain
import Crypto
import Foundation

/// A node's root directory: which file stands where (docs/wire.md, section 9).
public struct RootDirectory: Sendable {
    /// Why a root directory cannot be made or read: one line that names the file.
    public enum Failure: Error, Equatable, CustomStringConvertible {
        case exists(String)
        case unwritable(String, String)
        case unreadable(String, String)
        case tooLarge(String, limit: Int)

        /// One line.
        public var description: String {
            switch self {
            case .exists(let file): "\(file): exists already; not overwritten"
            case .unwritable(let file, let reason): "\(file): cannot be written: \(reason)"
            case .unreadable(let file, let reason): "\(file): cannot be read: \(reason)"
            case .tooLarge(let file, let limit): "\(file): is larger than \(limit) bytes"
            }
        }
    }

    /// Bytes of `config.toml` at most: some thousand peers and every key.
    static let maximumConfigurationSize = 1 << 20

    /// The directory.
    public let path: String

    /// Names a directory; nothing is touched.
    public init(_ path: String) { self.path = path }

    /// `config.toml`.
    public var configurationFile: String { "\(path)/config.toml" }
    /// `genesis.json`.
    public var genesisFile: String { "\(path)/genesis.json" }
    /// `nodekey.json`, mode 0600.
    public var keyFile: String { "\(path)/nodekey.json" }
    /// `addrbook.json`.
    public var addressBookFile: String { "\(path)/addrbook.json" }
    /// The block log, its indexes and the vote log.
    public var blocksDirectory: String { "\(path)/blocks" }
    /// The application's database.
    public var applicationDirectory: String { "\(path)/application" }

    /// Makes the directory, mode 0700, with a key, a genesis and a configuration. Overwrites nothing.
    public func create(key: PrivateKey, genesis: Genesis, configuration: Configuration) throws {
        let files = FileManager.default
        for file in [keyFile, genesisFile, configurationFile] where files.fileExists(atPath: file) {
            throw Failure.exists(file)
        }
        do {
            try files.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw Failure.unwritable(path, (error as NSError).localizedDescription)
        }
        try KeyFile.save(key, to: keyFile)
        try write(genesis.json, to: genesisFile)
        try write(configuration.fileText, to: configurationFile)
    }

    private func write(_ text: String, to file: String) throws(Failure) {
        do {
            try Data(text.utf8).write(to: URL(filePath: file), options: .withoutOverwriting)
        } catch {
            throw .unwritable(file, (error as NSError).localizedDescription)
        }
    }

    /// Reads `config.toml`; a missing file means the defaults.
    public func configuration() throws -> Configuration {
        guard FileManager.default.fileExists(atPath: configurationFile) else { return Configuration() }
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: configurationFile))
        } catch {
            throw Failure.unreadable(configurationFile, (error as NSError).localizedDescription)
        }
        guard data.count <= Self.maximumConfigurationSize else {
            throw Failure.tooLarge(configurationFile, limit: Self.maximumConfigurationSize)
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw Failure.unreadable(configurationFile, "not UTF-8")
        }
        return try Configuration(parsing: text, file: configurationFile)
    }
}
