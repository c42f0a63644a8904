import Bytes
import Chain
import Crypto
import Glibc

/// The file in which a node that stops keeps the transactions that wait, for its next start (docs/storage.md).
///
/// It is written whole, beside the old one, and ends with a checksum. Reading and writing block.
struct MempoolFile: Sendable {
    /// A transaction that waits.
    struct Entry: Equatable, Sendable {
        /// Whether a client of this node has sent it.
        var isOwn: Bool
        var bytes: SharedBytes
    }

    /// Why a file is not used; one line, without its path.
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

    /// Bytes around the transactions of a full mempool, at most.
    static let frameBytes = 1 << 20
    static let magic = Array("apus mempool 1\n".utf8)

    /// Where the file lies.
    let path: String
    /// The chain that the transactions are for.
    let genesis: Hash
    /// Bytes of the file at most.
    let limit: Int

    /// What was kept, in its order; nothing without a file.
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

    /// Keeps these, as many of the first as fit. Without any there is no file afterwards. Returns how many are kept.
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

    /// Keeps these beside what is in the file, which nobody has read. A file that cannot be read makes room for these,
    /// unless there are none.
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

    /// Moves the file out of the way, for the operator to look at. Returns where it is then; nil when it stays.
    @discardableResult
    func setAside() -> String? {
        let other = path + ".old"
        return rename(path, other) == 0 ? other : nil
    }

    /// Magic, hash of the genesis, for each transaction u8 own or not, u32 length and its bytes; then SHA-256 of all that.
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
                // Memory of its own: the mempool keeps it for longer than the file's.
                entries.append(Entry(isOwn: isOwn, bytes: SharedBytes(try reader.bytes(length).array)))
            }
        } catch {
            throw .damaged("\(error)")
        }
        return entries
    }
}

extension MempoolFile {
    /// The file at `path` of a node with this mempool.
    init(_ path: String, _ genesis: Genesis, _ mempool: Configuration.Mempool) {
        self.init(path: path, genesis: genesis.hash, limit: mempool.maxSize + Self.frameBytes)
    }
}

extension [MempoolFile.Entry] {
    /// Those of own clients before the others; each sender's stay in the order of their nonces.
    var ownFirst: [MempoolFile.Entry] { filter(\.isOwn) + filter { !$0.isOwn } }
}
