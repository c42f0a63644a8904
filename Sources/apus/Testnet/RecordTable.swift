import Bytes
import Chain
import Crypto

/// The SQL for `Records`: their table, the statement that inserts a row, and the digest that proves that a database
/// holds exactly these rows.
struct RecordTable: Sendable {
    let records: Records

    /// The statement that creates the table. The primary key is `line`, counted from 1.
    var create: String {
        let columns = records.columns.enumerated().map { index, name in
            ", \"\(name)\" \(isInteger(index) ? "INTEGER" : "TEXT")"
        }
        return "CREATE TABLE \(name) (line INTEGER PRIMARY KEY NOT NULL\(columns.joined()))"
    }

    /// The table's quoted name.
    var name: String { "\"\(records.table)\"" }

    /// The statement that inserts a row: the same for all rows, so that each node prepares it once.
    var insert: String {
        let names = records.columns.map { ", \"\($0)\"" }.joined()
        let parameters = records.columns.indices.map { ", $c\($0 + 1)" }.joined()
        return "INSERT INTO \(name) (line\(names)) VALUES ($line\(parameters))"
    }

    /// Returns the parameters of `insert` for row `index`.
    func parameters(_ index: Int) -> [RawStatement.Parameter] {
        [.init("$line", .int8(Int64(index + 1)))]
            + records.rows[index].enumerated().map { column, cell in
                .init("$c\(column + 1)", Self.value(cell))
            }
    }

    /// The size of the largest row's cells, including the line number, in bytes.
    var largestRow: Int {
        records.rows.map { row in
            row.reduce(8) { bytes, cell in
                if case .text(let text) = cell { bytes + text.utf8.count } else { bytes + 8 }
            }
        }.max() ?? 0
    }

    private func isInteger(_ column: Int) -> Bool {
        let isText = records.rows.contains { if case .text = $0[column] { true } else { false } }
        return !isText
    }

    private static func value(_ cell: Records.Cell) -> Value {
        switch cell {
        case .text(let text): .text(text)
        case .integer(let number): .int8(number)
        case .null: .null
        }
    }

    // MARK: Digest

    /// SHA-256 over the rows in order, each cell with its type and length, so that different rows have different
    /// digests.
    struct Digest: ~Copyable {
        private var hash = SHA256()

        mutating func add(line: Int64, _ cells: [Records.Cell]) {
            var writer = ByteWriter()
            writer.put(i64: line)
            for cell in cells {
                switch cell {
                case .null: writer.put(u8: 0)
                case .integer(let number):
                    writer.put(u8: 1)
                    writer.put(i64: number)
                case .text(let text):
                    writer.put(u8: 2)
                    writer.put(u64: UInt64(text.utf8.count))
                    writer.put(bytes: Array(text.utf8))
                }
            }
            hash.update(writer.bytes)
        }

        consuming func finalize() -> Hash { hash.finalize() }
    }

    /// The digest of the rows in the file.
    var digest: Hash {
        var digest = Digest()
        for (index, row) in records.rows.enumerated() { digest.add(line: Int64(index + 1), row) }
        return digest.finalize()
    }
}
