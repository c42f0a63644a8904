import Foundation
import Multiformats

/// The file that a peer store is kept in, `addrbook.json`: JSON with a version and one object for each peer.
///
/// It is replaced as a whole: written beside, synced, renamed. Reading and writing block.
public struct AddressBookFile: Sendable {
    /// The longest file read; a full store takes about a tenth.
    static let maximumSize = 64 << 20
    static let version = 1

    /// Where the file lies.
    public let path: String

    /// The system's Unix time in seconds.
    public static let unixTime: @Sendable () -> Int64 = {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec)
    }

    private struct Content: Codable {
        var version: Int
        var peers: [Peer]
    }

    private struct Peer: Codable {
        var id: String
        var addresses: [Address]
        var protocols: [String]
        var lastSeen: Int64
    }

    private struct Address: Codable {
        var address: String
        var failures: Int
        var lastConnected: Int64
        var hearsay: Bool?
    }

    /// The records in the file; none if there is no file. Single entries that make no sense are left out.
    func read() throws(LibP2PError) -> [PeerRecord] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return [] }
            throw .file(path: path, reason: Self.reason())
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .file(path: path, reason: Self.reason()) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .file(path: path, reason: "not a regular file")
        }
        guard status.st_size <= Self.maximumSize else {
            throw .corruptFile(
                path: path, reason: "\(status.st_size) bytes are more than a peer store writes")
        }
        let data: Data
        do {
            data = try FileHandle(fileDescriptor: file, closeOnDealloc: false).readToEnd() ?? Data()
        } catch {
            throw .file(path: path, reason: "it cannot be read")
        }
        return try decode(data)
    }

    /// Replaces the file.
    func write(_ records: [PeerRecord]) throws(LibP2PError) {
        let data = try encode(records)
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .file(path: temporary, reason: Self.reason()) }
        var failure: String?
        data.withUnsafeBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let count = Foundation.write(
                    file, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
                if count < 0 {
                    if errno == EINTR { continue }
                    failure = Self.reason()
                    return
                }
                offset += count
            }
            if fsync(file) != 0 { failure = Self.reason() }
        }
        close(file)
        if failure == nil, rename(temporary, path) != 0 { failure = Self.reason() }
        if let failure {
            unlink(temporary)
            throw .file(path: path, reason: failure)
        }
        syncFolder()
    }

    /// Takes a file that cannot be used out of the way, keeping it for whoever wants to know. The result is its path.
    func putAside() throws(LibP2PError) -> String {
        let aside = path + ".damaged"
        guard rename(path, aside) == 0 else { throw .file(path: path, reason: Self.reason()) }
        return aside
    }

    /// Makes the rename last. Where a file system cannot sync folders the file is whole all the same.
    private func syncFolder() {
        let folder = open(
            URL(filePath: path).deletingLastPathComponent().path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }

    private func decode(_ data: Data) throws(LibP2PError) -> [PeerRecord] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let content: Content
        do {
            content = try decoder.decode(Content.self, from: data)
        } catch {
            throw .corruptFile(path: path, reason: Self.reason(error))
        }
        guard content.version == Self.version else {
            throw .corruptFile(path: path, reason: "version \(content.version) is not known")
        }
        return content.peers.prefix(PeerStore.maximumPeers).compactMap(record)
    }

    /// A peer of the file; nil if its ID is none. Addresses that are none are left out.
    private func record(_ peer: Peer) -> PeerRecord? {
        guard let id = try? PeerID(peer.id) else { return nil }
        var record = PeerRecord(peer: id)
        record.lastSeen = max(peer.lastSeen, 0)
        record.protocols = peer.protocols.prefix(PeerStore.maximumProtocols).map { ProtocolID($0) }
        for address in peer.addresses.prefix(PeerStore.maximumAddresses) {
            guard let multiaddr = try? Multiaddr(address.address),
                !record.addresses.contains(where: { $0.address == multiaddr })
            else { continue }
            record.addresses.append(
                PeerRecord.Address(
                    address: multiaddr, failures: min(max(address.failures, 0), .max - 1),
                    lastConnected: max(address.lastConnected, 0), isHearsay: address.hearsay ?? false))
        }
        return record
    }

    private func encode(_ records: [PeerRecord]) throws(LibP2PError) -> Data {
        let peers = records.map { record in
            Peer(
                id: record.peer.description,
                addresses: record.addresses.map {
                    Address(
                        address: $0.address.description, failures: $0.failures,
                        lastConnected: $0.lastConnected, hearsay: $0.isHearsay ? true : nil)
                },
                protocols: record.protocols.map(\.rawValue), lastSeen: record.lastSeen)
        }
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            return try encoder.encode(Content(version: Self.version, peers: peers))
        } catch {
            throw .file(path: path, reason: "it cannot be encoded")
        }
    }

    /// Where in the JSON the error is.
    private static func reason(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            "\(place(context))\(key.stringValue) is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "\(place(context))a value is of the wrong type"
        default: "it is not JSON"
        }
    }

    private static func place(_ context: DecodingError.Context) -> String {
        let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
        return path.isEmpty ? "" : "at \(path.drop { $0 == "." }): "
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
