import Chain
import Collections
import Crypto

/// Statements that clients of an SQL application send: ordinary ones on fixed tables, some of which fail; hostile
/// ones, which once split, stopped or stalled chains; and those of `SQLGenerator`.
struct SQLWorkload {
    /// The largest possible row ID, after which SQLite chooses row IDs at random.
    private static let lastRowID = "9223372036854775807"
    /// The maximum length of a generated statement: a longer one might never fit into a small block.
    private static let longest = 1_000
    /// Keeps a statement of many rows below `longest`.
    private static let mostRows: UInt64 = 56
    private static let schema = [
        "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, amount INTEGER)",
        "CREATE TABLE \"Ämter\" (id INTEGER PRIMARY KEY, name TEXT)",
        "CREATE TABLE \"Ключи\" (k TEXT PRIMARY KEY, v TEXT)",
    ]
    /// Endless rows. The large first row raises the price of every instruction, so the budget ends within a
    /// millisecond.
    private static let endless =
        "WITH RECURSIVE c(i, b) AS (SELECT 1, zeroblob(600000) UNION ALL SELECT i + 1, NULL FROM c)"

    private var generator: SQLGenerator
    private let clients: [PublicKey]

    /// - Parameter clients: the clients that may be granted the right to write.
    init(seed: UInt64, clients: [PublicKey]) {
        generator = SQLGenerator(seed: seed, isThrifty: true)
        self.clients = clients
    }

    /// Returns the owner's next statement, after `count` others; the first ones create the tables and grant clients
    /// the right to write.
    mutating func next(after count: UInt64, _ random: inout SeededGenerator) -> RawStatement {
        if count < Self.schema.count { return RawStatement(Self.schema[Int(count)]) }
        let granted = count - UInt64(Self.schema.count)
        if granted < clients.count { return Self.grant(clients[Int(granted)]) }
        return switch random.next() % 8 {
        case 0, 1, 2: generated()
        case 3: hostile(&random)
        case 4: changeOfGrants(&random)
        default: Self.ordinary(&random)
        }
    }

    /// Returns a statement for any sender who may change rows.
    static func ordinary(_ random: inout SeededGenerator) -> RawStatement {
        let id = random.next() % 50
        let amount = random.next() % 1000
        // One letter in two normal forms, which are two texts and two names.
        let letter = random.oneIn(2) ? "\u{E9}" : "e\u{301}"
        return switch random.next() % 16 {
        case 0: RawStatement("INSERT INTO items VALUES (\(id), 'item \(amount)', \(amount))")
        case 1: RawStatement("UPDATE items SET amount = amount + 1 WHERE id > \(id)")
        case 2: RawStatement("DELETE FROM items WHERE id = \(id)")
        case 3: RawStatement("UPDATE items SET name = '\(letter)' WHERE id > 25")
        case 4, 5, 6: RawStatement("INSERT OR REPLACE INTO items VALUES (7, '\(letter)', 0)")
        case 7: RawStatement("INSERT OR REPLACE INTO \"Ämter\" VALUES (\(lastRowID), '\(letter)')")
        case 8: RawStatement("INSERT INTO \"Ämter\" (name) VALUES ('\(letter)')")
        case 9:
            RawStatement(
                "INSERT INTO \"Ключи\" VALUES (\(random.oneIn(2) ? "NULL" : "\(id)"), '\(letter)')")
        case 10, 11:
            RawStatement(
                "INSERT OR REPLACE INTO items VALUES (\(id), $\(letter), $n)",
                [
                    .init("$\u{E9}", .text("composed")), .init("$e\u{301}", .text("decomposed")),
                    .init("n", .null),
                ])
        case 12:
            RawStatement(
                "WITH RECURSIVE c(i) AS (SELECT \(id) UNION ALL SELECT i + 1 FROM c LIMIT 20) "
                    + "INSERT OR \(random.oneIn(2) ? "FAIL" : "IGNORE") INTO items SELECT i, i, i FROM c")
        case 13, 14: manyRows(from: id, count: amount % mostRows)
        default: RawStatement("INSERT INTO items (id) VALUES (\(id))")
        }
    }

    /// Returns a statement that compiles to some hundred instructions.
    private static func manyRows(from id: UInt64, count: UInt64) -> RawStatement {
        let rows = (0...count).map { "(\(id + $0), 'r', \($0))" }
        return RawStatement("INSERT OR REPLACE INTO items VALUES \(rows.joined(separator: ", "))")
    }

    private mutating func generated() -> RawStatement {
        var statement = generator.next()
        while statement.sql.utf8.count > Self.longest { statement = generator.next() }
        return RawStatement(statement.sql, statement.parameters)
    }

    private static func grant(_ client: PublicKey) -> RawStatement {
        RawStatement("INSERT OR IGNORE INTO grants (identifier) VALUES ('\(client.nodeID)')")
    }

    private func changeOfGrants(_ random: inout SeededGenerator) -> RawStatement {
        guard let client = random.pick(clients) else { return RawStatement("DELETE FROM grants") }
        return random.oneIn(3)
            ? RawStatement("DELETE FROM grants WHERE identifier = '\(client.nodeID)'") : Self.grant(client)
    }

    /// Returns a statement with views that multiply each other's rows, the largest row ID, or more work or memory
    /// than allowed.
    private func hostile(_ random: inout SeededGenerator) -> RawStatement {
        let times = Int(2 + random.next() % 19)
        let views = ["va", "vb", "vc"]
        let index = Int(random.next() % UInt64(views.count))
        let source = index == 0 ? "SELECT 1 AS x" : "SELECT x FROM \(views[index - 1])"
        let union = Array(repeating: source, count: times).joined(separator: " UNION ALL ")
        return switch random.next() % 12 {
        case 0, 1, 2, 3: RawStatement("CREATE VIEW \(views[index]) AS \(union)")
        case 4: RawStatement("DROP VIEW \(views[index])")
        case 5: RawStatement("INSERT INTO \(views[index]) VALUES (1)")
        case 6: RawStatement("UPDATE items SET amount = (SELECT count(*) FROM \(views[index])) WHERE id < 10")
        case 7: RawStatement("CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)")
        case 8: RawStatement("INSERT OR IGNORE INTO items VALUES (\(Self.lastRowID), 'last', 0)")
        case 9: RawStatement("\(Self.endless) SELECT count(*) FROM c")
        case 10: RawStatement("INSERT INTO items \(Self.endless) SELECT i + 100, 'endless', 0 FROM c")
        default:
            RawStatement(
                "UPDATE items SET name = json_array(\(Array(repeating: "hex(zeroblob(400000))", count: 25).joined(separator: ",")))"
            )
        }
    }
}
