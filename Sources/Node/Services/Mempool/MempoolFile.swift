import Bytes
import Chain
import Crypto
import Glibc

/// The file that keeps unconfirmed transactions between a node's stop and its next start (docs/storage.md).
///
/// A write replaces the whole file. The file ends with a checksum. Reading and writing block the thread.
struct MempoolFile: Sendable {
    /// An unconfirmed transaction.
    struct Entry: Equatable, Sendable {
        /// Whether a client of this node sent it.
        var isOwn: Bool
        var bytes: SharedBytes
    }

    /// Why a file cannot be used. The description is one line without the path.
    enum Failure: Error, CustomStringConvertible {
        case file(FileContent.Failure)
        case damaged(String)
        case otherChain

        var description: String {
            switch self {
            case .file(let reason): reason.description
            case .damaged(let what): "damaged: \(what)"
            case .otherChain: "of another chain"
            }
        }
    }

    /// The maximum number of bytes besides the transactions of a full mempool.
    static let frameBytes = 1 << 20
    static let magic = Array("apus mempool 1\n".utf8)

    /// The path of the file.
    let path: String
    /// The genesis hash of the transactions' chain.
    let genesis: Hash
    /// The maximum size of the file, in bytes.
    let limit: Int

    /// Reads the transactions, in order; none if there is no file.
    func read() throws(Failure) -> [Entry] {
        let content: [UInt8]
        do {
            content = try FileContent.read(path, limit: limit)
        } catch .system(ENOENT) {
            return []
        } catch {
            throw .file(error)
        }
        return try decode(content)
    }

    /// Writes the transactions that fit, earlier ones first, or removes the file if there are none. Returns how many it
    /// wrote.
    func write(_ entries: [Entry]) throws(Failure) -> Int {
        let (content, count) = encode(entries)
        do {
            if count == 0 {
                try FileContent.remove(path)
            } else {
                try FileContent.replace(path, content, mode: 0o600)
            }
        } catch {
            throw .file(error)
        }
        return count
    }

    /// Adds transactions to a file that has not been read. An unreadable file is moved aside if there is anything to
    /// write. Returns how many transactions it wrote.
    func add(_ entries: [Entry]) throws(Failure) -> Int {
        var all = entries
        do {
            all += try read()
        } catch {
            guard !entries.isEmpty else { return 0 }
            setAside()
        }
        return try write(all.ownFirst)
    }

    /// Renames the file so that the operator can inspect it. Returns the new path; nil if that failed.
    @discardableResult
    func setAside() -> String? {
        let other = path + ".old"
        return rename(path, other) == 0 ? other : nil
    }

    /// Encodes the magic, the genesis hash, and each transaction (u8 own or not, u32 length, bytes), followed by the
    /// SHA-256 of all that.
    func encode(_ entries: [Entry]) -> (content: [UInt8], count: Int) {
        let frame = Self.magic.count + 2 * Hash.count
        var writer = ByteWriter(
            capacity: min(limit, entries.reduce(frame) { $0 + $1.bytes.count + 5 }))
        writer.put(bytes: Self.magic)
        writer.put(bytes: genesis)
        var count = 0
        for entry in entries {
            guard writer.bytes.count + 5 + entry.bytes.count + Hash.count <= limit else { continue }
            writer.put(u8: entry.isOwn ? 1 : 0)
            writer.put(u32: UInt32(clamping: entry.bytes.count))
            writer.put(bytes: entry.bytes)
            count += 1
        }
        writer.put(bytes: Hash.sha256(of: writer.bytes))
        return (writer.bytes, count)
    }

    func decode(_ content: [UInt8]) throws(Failure) -> [Entry] {
        guard content.count >= Self.magic.count + 2 * Hash.count else { throw .damaged("too short") }
        guard content.starts(with: Self.magic) else { throw .damaged("not a mempool file of this version") }
        let all = SharedBytes(content)
        let end = content.count - Hash.count
        guard Hash.sha256(of: all.slice(0..<end)).array == Array(content[end...]) else {
            throw .damaged("the checksum does not match")
        }
        let start = Self.magic.count + Hash.count
        guard content[Self.magic.count..<start].elementsEqual(genesis.array) else { throw .otherChain }
        var reader = ByteReader(all.slice(start..<end))
        var entries: [Entry] = []
        do {
            while reader.remaining > 0 {
                let isOwn = try reader.u8() != 0
                let length = Int(try reader.u32())
                // A copy, because the mempool may keep a transaction for long, and should not keep the whole file.
                entries.append(Entry(isOwn: isOwn, bytes: SharedBytes(try reader.bytes(length).array)))
            }
        } catch {
            throw .damaged("\(error)")
        }
        return entries
    }
}

extension MempoolFile {
    /// Creates the description of a file for a node with this mempool.
    init(_ path: String, _ genesis: Genesis, _ mempool: Configuration.Mempool) {
        self.init(path: path, genesis: genesis.hash, limit: mempool.maxSize + Self.frameBytes)
    }
}

extension [MempoolFile.Entry] {
    /// The transactions of own clients, then the others. Those of one sender stay in the order of their nonces.
    var ownFirst: [MempoolFile.Entry] { filter(\.isOwn) + filter { !$0.isOwn } }
}
