import Bytes
import CShims
import Chain
import Collections
import Crypto

/// The pending validator requests in the application's database, where the change recorder sees their changes.
struct ValidatorTable {
    private let write, delete: SQLiteStatement

    /// Keys are in wire form; approvals are concatenated keys.
    static let schema = """
        CREATE TABLE apus_validator_requests (
            kind INTEGER NOT NULL, key BLOB NOT NULL, number INTEGER NOT NULL, power INTEGER NOT NULL,
            expiry INTEGER NOT NULL, approvals BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
        """

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        write = try connection.prepare(
            """
            INSERT INTO apus_validator_requests VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT DO UPDATE SET number = ?3, power = ?4, expiry = ?5, approvals = ?6
            """, isPersistent: true)
        delete = try connection.prepare(
            "DELETE FROM apus_validator_requests WHERE kind = ? AND key = ?", isPersistent: true)
    }

    /// Returns the pending requests, oldest first.
    static func load(_ connection: SQLiteConnection) throws(SQLiteFailure) -> ValidatorRequests {
        let row = try connection.prepare(
            "SELECT kind, key, number, power, expiry, approvals FROM apus_validator_requests ORDER BY number")
        var requests = ValidatorRequests()
        while try row.step() {
            guard let kind = ValidatorRequest.Kind(rawValue: row.int(0)),
                let key = try? PublicKey(wire: row.bytes(1)), let approvals = keys(row.bytes(5))
            else {
                throw SQLiteFailure(
                    code: SQLITE_CORRUPT, message: "apus_validator_requests cannot be read",
                    file: connection.path)
            }
            let request = ValidatorRequest(
                number: row.int(2), kind: kind, key: key, power: row.int(3), expiry: row.int(4),
                approvals: approvals)
            requests[request.id] = request
        }
        return requests
    }

    /// Replaces the content of the table, which is `old`, with `new`.
    func replace(_ old: ValidatorRequests, with new: ValidatorRequests) throws(SQLiteFailure) {
        guard old != new else { return }
        for request in old.values where new[request.id] == nil {
            try delete.bind(1, request.kind.rawValue)
            try delete.bind(2, request.key.wire)
            try delete.run()
        }
        for request in new.values where old[request.id] != request {
            try write.bind(1, request.kind.rawValue)
            try write.bind(2, request.key.wire)
            try write.bind(3, request.number)
            try write.bind(4, request.power)
            try write.bind(5, request.expiry)
            try write.bind(6, request.approvals.flatMap(\.wire))
            try write.run()
        }
    }

    private static func keys(_ bytes: [UInt8]) -> OrderedSet<PublicKey>? {
        var keys: OrderedSet<PublicKey> = []
        var reader = ByteReader(SharedBytes(bytes))
        while reader.remaining > 0 {
            guard let flag = try? reader.u32(), let type = KeyType(rawValue: flag),
                let bytes = try? reader.array(type.publicKeyCount),
                let key = try? PublicKey(type: type, bytes: bytes)
            else { return nil }
            keys.append(key)
        }
        return keys
    }
}
