import Bytes
import Glibc
import JSON
import Multiformats
import Reactor

/// The file of a peer store, `addrbook.json`: JSON with a version and one object for each peer.
///
/// It is replaced as a whole: a new file is written, synced and renamed. Reading and writing block.
public struct AddressBookFile: Sendable {
    /// The longest file accepted, in bytes; a full store takes about a tenth.
    static let maximumSize = 64 << 20
    static let version = 1

    /// The path of the file.
    public let path: String

    /// Returns the system's Unix time in seconds.
    public static let unixTime: @Sendable () -> Int64 = { WallClock.now.components.seconds }

    /// Reads the records; none if there is no file. Skips peers and addresses that are invalid. Throws `corruptFile` or
    /// `file`.
    func read() throws(LibP2PError) -> [PeerRecord] {
        let content: [UInt8]
        do {
            content = try FileContent.read(path, limit: Self.maximumSize)
        } catch .system(ENOENT) {
            return []
        } catch .tooLarge(let limit) {
            throw .corruptFile(path: path, reason: "longer than the limit of \(limit) bytes")
        } catch {
            throw .file(path: path, reason: error.description)
        }
        do {
            return try Self.records(try JSONDocument(content).root)
        } catch {
            throw .corruptFile(path: path, reason: error.description)
        }
    }

    /// Replaces the file.
    func write(_ records: [PeerRecord]) throws(LibP2PError) {
        do {
            try FileContent.replace(path, Self.encode(records), mode: 0o600)
        } catch {
            throw .file(path: path, reason: error.description)
        }
    }

    /// Renames an unusable file, so that it can be examined, and returns its new path.
    func putAside() throws(LibP2PError) -> String {
        let aside = path + ".damaged"
        guard rename(path, aside) == 0 else {
            throw .file(path: path, reason: String(cString: strerror(errno)))
        }
        return aside
    }

    private static func records(_ root: JSONValue) throws(JSONError) -> [PeerRecord] {
        var content = try root.members()
        let version = try content.value("version").integer(Int.self)
        guard version == Self.version else { throw content.error("version", "\(version) is not known") }
        var records: [PeerRecord] = []
        for peer in try content.value("peers").array().prefix(PeerStore.maximumPeers) {
            if let record = try record(peer) { records.append(record) }
        }
        return records
    }

    /// Reads a peer; nil if its ID is invalid. Skips invalid addresses.
    private static func record(_ peer: JSONValue) throws(JSONError) -> PeerRecord? {
        var members = try peer.members()
        let id = try? PeerID(try members.value("id").string())
        let addresses = try members.value("addresses").array()
        let protocols = try members.value("protocols").array()
        let lastSeen = try members.value("last_seen").integer(Int64.self)
        guard let id else { return nil }
        var record = PeerRecord(peer: id)
        record.lastSeen = max(lastSeen, 0)
        for name in protocols.prefix(PeerStore.maximumProtocols) {
            record.protocols.append(ProtocolID(try name.string()))
        }
        for value in addresses.prefix(PeerStore.maximumAddresses) {
            guard let address = try address(value),
                !record.addresses.contains(where: { $0.address == address.address })
            else { continue }
            record.addresses.append(address)
        }
        return record
    }

    private static func address(_ value: JSONValue) throws(JSONError) -> PeerRecord.Address? {
        var members = try value.members()
        let text = try members.value("address").string()
        let failures = try members.value("failures").integer(Int.self)
        let lastConnected = try members.value("last_connected").integer(Int64.self)
        let isHearsay = try members.optional("hearsay")?.flag() ?? false
        guard let address = try? Multiaddr(text) else { return nil }
        return PeerRecord.Address(
            address: address, failures: min(max(failures, 0), .max - 1), lastConnected: max(lastConnected, 0),
            isHearsay: isHearsay)
    }

    private static func encode(_ records: [PeerRecord]) -> [UInt8] {
        var writer = JSONWriter(layout: .lines)
        writer.object {
            $0.member("version", integer: version)
            $0.array("peers", of: records) { encode($1, &$0) }
        }
        writer.endLine()
        return writer.bytes
    }

    private static func encode(_ record: PeerRecord, _ writer: inout JSONWriter) {
        writer.object {
            $0.member("id", text: record.peer.description)
            $0.array("addresses", of: record.addresses) { list, address in
                list.object {
                    $0.member("address", text: address.address.description)
                    $0.member("failures", integer: address.failures)
                    $0.member("last_connected", integer: address.lastConnected)
                    if address.isHearsay { $0.member("hearsay", flag: true) }
                }
            }
            $0.array("protocols", of: record.protocols) { $0.text($1.rawValue) }
            $0.member("last_seen", integer: record.lastSeen)
        }
    }
}
