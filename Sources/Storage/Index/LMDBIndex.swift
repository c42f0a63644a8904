import Bytes
import CShims
import Chain
import Crypto
import Glibc
import Synchronization

/// The block index in an LMDB file (docs/storage.md, "Index"). Nothing is durable before `synchronize`, so a power
/// failure may leave garbage; `IndexSeal` decides whether the file can be trusted.
final class LMDBIndex: BlockIndex, @unchecked Sendable {
    private let environment: Handle
    private let heights: MDB_dbi
    private let hashes: MDB_dbi
    private let transactions: MDB_dbi
    /// Read transactions ready for reuse.
    private let idle = Mutex<[Handle]>([])

    /// A pointer from LMDB. Its own locks make the environment safe on any thread; one thread at a time uses a read
    /// transaction.
    private struct Handle: @unchecked Sendable { let pointer: OpaquePointer }

    /// The size of the map in bytes of address space, not disk: room for about two billion transactions.
    static let mapSize = 256 << 30
    /// The maximum number of concurrent lookups.
    private static let maxReaders: UInt32 = 1024

    /// Returns the path of LMDB's data file.
    static func dataPath(_ directory: String) -> String { directory + "/data.mdb" }
    /// Returns the path of LMDB's reader table, which means nothing after the process ends.
    static func lockPath(_ directory: String) -> String { directory + "/lock.mdb" }

    /// Opens the index in an existing directory and creates missing tables. The caller holds the store's lock, has
    /// checked the seal, and has removed the file at `lockPath`.
    init(_ directory: String) throws(StorageError) {
        func check(_ operation: String, _ code: Int32) throws(StorageError) {
            try LMDBIndex.check(directory, operation, code)
        }
        var made: OpaquePointer?
        try check("create environment", mdb_env_create(&made))
        guard let environment = made else {
            throw LMDBIndex.error(directory, "create environment", MDB_PANIC)
        }
        var opened = false
        defer { if !opened { mdb_env_close(environment) } }
        try check("set map size", mdb_env_set_mapsize(environment, LMDBIndex.mapSize))
        try check("set tables", mdb_env_set_maxdbs(environment, 3))
        try check("set readers", mdb_env_set_maxreaders(environment, LMDBIndex.maxReaders))
        let flags = MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD
        try check("open", mdb_env_open(environment, directory, UInt32(flags), 0o600))

        // Try a read transaction first: a write would change the sealed file.
        var found = try LMDBIndex.tables(of: environment, directory, creating: false)
        if found == nil { found = try LMDBIndex.tables(of: environment, directory, creating: true) }
        guard let tables = found else { throw LMDBIndex.error(directory, "open tables", MDB_NOTFOUND) }
        opened = true
        self.environment = Handle(pointer: environment)
        heights = tables[0]
        hashes = tables[1]
        transactions = tables[2]
        super.init(directory: directory)
    }

    /// Opens the tables; returns nil if one is missing and not to be created.
    private static func tables(
        of environment: OpaquePointer, _ directory: String, creating: Bool
    ) throws(StorageError) -> [MDB_dbi]? {
        var transaction: OpaquePointer?
        let flags = creating ? 0 : UInt32(MDB_RDONLY)
        try check(directory, "begin", mdb_txn_begin(environment, nil, flags, &transaction))
        var tables: [MDB_dbi] = []
        for name in ["heights", "hashes", "transactions"] {
            var table = MDB_dbi()
            let code = mdb_dbi_open(transaction, name, creating ? UInt32(MDB_CREATE) : 0, &table)
            guard code == MDB_SUCCESS else {
                mdb_txn_abort(transaction)
                if code == MDB_NOTFOUND, !creating { return nil }
                throw error(directory, "open table \(name)", code)
            }
            tables.append(table)
        }
        try check(directory, "commit", mdb_txn_commit(transaction))
        return tables
    }

    deinit {
        for reader in idle.withLock({ $0 }) { mdb_txn_abort(reader.pointer) }
        mdb_env_close(environment.pointer)
    }

    override func insert(_ entries: [Entry]) throws(StorageError) {
        var made: OpaquePointer?
        try check("begin", mdb_txn_begin(environment.pointer, nil, 0, &made))
        guard let transaction = made else { throw LMDBIndex.error(directory, "begin", MDB_PANIC) }
        do throws(StorageError) {
            for entry in entries {
                let height = withUnsafeBytes(of: entry.height.bigEndian) { [UInt8]($0) }
                var writer = ByteWriter()
                writer.put(i64: entry.location.segment)
                writer.put(i64: Int64(entry.location.offset))
                writer.put(bytes: entry.location.hash)
                try put(transaction, heights, height, writer.bytes)
                try put(transaction, hashes, entry.location.hash.array, height)
                for (id, location) in entry.transactions {
                    var writer = ByteWriter()
                    writer.put(i64: location.height)
                    writer.put(u32: UInt32(truncatingIfNeeded: location.index))
                    writer.put(u32: UInt32(truncatingIfNeeded: location.offset))
                    writer.put(u32: UInt32(truncatingIfNeeded: location.length))
                    try put(transaction, transactions, id.array, writer.bytes, UInt32(MDB_NOOVERWRITE))
                }
            }
        } catch {
            mdb_txn_abort(transaction)
            throw error
        }
        try check("commit", mdb_txn_commit(transaction))
    }

    private func put(
        _ transaction: OpaquePointer, _ table: MDB_dbi, _ key: [UInt8], _ value: [UInt8], _ flags: UInt32 = 0
    ) throws(StorageError) {
        let code = key.withUnsafeBytes { key in
            value.withUnsafeBytes { value in
                var key = MDB_val(key)
                var value = MDB_val(value)
                return mdb_put(transaction, table, &key, &value, flags)
            }
        }
        if code != MDB_KEYEXIST { try check("insert", code) }
    }

    override func location(of height: Int64) throws(StorageError) -> Location? {
        let key = withUnsafeBytes(of: height.bigEndian) { [UInt8]($0) }
        return try lookup(heights, key) { reader throws(BytesError) in
            let (segment, offset) = (try reader.i64(), try reader.i64())
            guard offset >= 0 else { throw .invalid("an offset") }
            return Location(segment: segment, offset: Int(offset), hash: try reader.hash())
        }
    }

    override func height(of hash: Hash) throws(StorageError) -> Int64? {
        try lookup(hashes, hash.array) { reader throws(BytesError) in try reader.i64BE() }
    }

    override func transaction(_ id: Hash) throws(StorageError) -> TransactionLocation? {
        try lookup(transactions, id.array) { reader throws(BytesError) in
            TransactionLocation(
                height: try reader.i64(), index: Int(try reader.u32()), offset: Int(try reader.u32()),
                length: Int(try reader.u32()))
        }
    }

    private func lookup<T>(
        _ table: MDB_dbi, _ key: [UInt8], _ decode: (inout ByteReader) throws(BytesError) -> T
    ) throws(StorageError) -> T? {
        let transaction = try beginReading()
        defer {
            mdb_txn_reset(transaction.pointer)
            idle.withLock { $0.append(transaction) }
        }
        var found = MDB_val()
        let code = key.withUnsafeBytes { key in
            var key = MDB_val(key)
            return mdb_get(transaction.pointer, table, &key, &found)
        }
        if code == MDB_NOTFOUND { return nil }
        try check("look up", code)
        var reader = ByteReader(SharedBytes(copying: .init(start: found.mv_data, count: found.mv_size)))
        do {
            let value = try decode(&reader)
            try reader.finish()
            return value
        } catch {
            throw .index(
                path: directory, operation: "look up",
                "an entry of \(found.mv_size) bytes cannot be decoded")
        }
    }

    private func beginReading() throws(StorageError) -> Handle {
        if let reader = idle.withLock({ $0.popLast() }) {
            let code = mdb_txn_renew(reader.pointer)
            if code != MDB_SUCCESS { mdb_txn_abort(reader.pointer) }
            try check("read", code)
            return reader
        }
        var made: OpaquePointer?
        try check("read", mdb_txn_begin(environment.pointer, nil, UInt32(MDB_RDONLY), &made))
        guard let made else { throw LMDBIndex.error(directory, "read", MDB_PANIC) }
        return Handle(pointer: made)
    }

    override func synchronize() throws(StorageError) {
        try check("synchronize", mdb_env_sync(environment.pointer, 1))
    }

    private func check(_ operation: String, _ code: Int32) throws(StorageError) {
        try LMDBIndex.check(directory, operation, code)
    }

    private static func check(_ directory: String, _ operation: String, _ code: Int32) throws(StorageError) {
        if code != MDB_SUCCESS { throw error(directory, operation, code) }
    }

    private static func error(_ directory: String, _ operation: String, _ code: Int32) -> StorageError {
        .index(path: directory, operation: operation, reason(code))
    }

    /// Returns LMDB's text for an error, or the system's with advice.
    private static func reason(_ code: Int32) -> String {
        switch code {
        case EMFILE, ENFILE: SystemErrorText.of(code)
        case ENOMEM:
            "\(SystemErrorText.of(code)); the index reserves \(mapSize >> 30) GiB of address space, so set ulimit -v "
                + "(LimitAS= in a systemd unit) to unlimited and limit memory with MemoryMax= instead"
        default: String(cString: mdb_strerror(code))
        }
    }
}

extension MDB_val {
    /// Refers to bytes that LMDB only reads and that must outlive this value.
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
}
