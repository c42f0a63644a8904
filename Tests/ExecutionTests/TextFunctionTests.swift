import CShims
import Multiformats
import TestSupport
import Testing

@testable import Execution

/// Our text functions answer as SQLite's own do, and charge what they look at.
@Suite struct TextFunctionTests {
    private let plain: SQLiteConnection
    private let ours: SQLiteConnection
    private let meter = CostMeter()
    private let functions: TextFunctions

    init() throws {
        plain = try SQLiteConnection(path: ":memory:", access: .readWrite)
        ours = try SQLiteConnection(path: ":memory:", access: .readWrite)
        meter.attach(to: ours)
        functions = try TextFunctions(ours, meter)
    }

    /// What a SELECT of one value yields, with its type; or its error.
    private func value(_ sql: String, _ connection: SQLiteConnection) -> String {
        do throws(SQLiteFailure) {
            let statement = try connection.prepare(
                "SELECT typeof(x) || ':' || quote(x) FROM (SELECT \(sql) AS x)")
            guard try statement.step() else { return "no row" }
            return statement.text(0)
        } catch {
            return "error: \(error.message)"
        }
    }

    /// An SQL literal out of few letters, so that they often match.
    private func literal(_ random: inout SeededGenerator) -> String {
        let pieces = [
            "a", "b", "A", "%", "_", "*", "?", "[", "]", "^", "-", "ä", "Ä", "€", "\u{1F600}", "e\u{301}",
            " ", "''", "\\", "[a-c]",
            "[^a]", "%a",
        ]
        let text = (0..<Int.random(in: 0...6, using: &random)).map { _ in
            pieces.randomElement(using: &random) ?? ""
        }
        .joined()
        switch Int.random(in: 0..<20, using: &random) {
        case 0: return "NULL"
        case 1: return "\(Int.random(in: -20...120, using: &random))"
        case 2: return "1.5"
        case 3:
            let bytes: [UInt8] = [
                0x00, 0x61, 0x80, 0xBF, 0xC3, 0xA4, 0xC0, 0xE2, 0x82, 0xED, 0xA0, 0xF0, 0xFE, 0xFF,
            ]
            let blob = (0..<Int.random(in: 0...5, using: &random)).map { _ in
                Hex.encode([bytes.randomElement(using: &random) ?? 0])
            }.joined()
            return Bool.random(using: &random) ? "x'\(blob)'" : "CAST(x'\(blob)' AS TEXT)"
        case 4: return "x'\(Hex.encode(Array(text.utf8)))'"
        case 5: return "'\(text)' || char(0) || 'b'"
        default: return "'\(text)'"
        }
    }

    @Test(arguments: [
        "instr(@, @)", "replace(@, @, @)", "trim(@)", "ltrim(@)", "rtrim(@)", "trim(@, @)", "ltrim(@, @)",
        "rtrim(@, @)", "@ LIKE @", "@ LIKE @ ESCAPE @", "@ LIKE @ ESCAPE '\\'", "@ LIKE @ ESCAPE '%'",
        "@ LIKE @ ESCAPE '_'",
        "@ GLOB @", "like(@, @, 'a')",
    ])
    func answersAreSQLites(_ form: String) {
        var random = SeededGenerator(seed: UInt64(form.utf8.reduce(7) { $0 &* 31 &+ Int($1) } & 0xFFFF))
        for _ in 0..<4_000 {
            var sql = ""
            for character in form { sql += character == "@" ? literal(&random) : String(character) }
            let expected = value(sql, plain)
            #expect(value(sql, ours) == expected, "\(sql)")
        }
    }

    /// Each took minutes, or much longer than it was charged.
    @Test(arguments: [
        "instr(hex(zeroblob(3000000)), hex(zeroblob(700000)) || '1')",
        "replace(hex(zeroblob(3000000)), hex(zeroblob(700000)) || '1', 'x')",
        "trim(hex(zeroblob(1000000)), 'abcdefghijklmnopqrstuvwxyz' || replace(hex(zeroblob(500)), '0', 'x') || '0')",
        "hex(zeroblob(500000)) LIKE '%\(String(repeating: "0_", count: 450))1%'",
        "hex(zeroblob(500000)) GLOB '*\(String(repeating: "0[0-9]", count: 140))1*'",
    ])
    func productsAreCharged(_ sql: String) throws {
        let statement = try ours.prepare("SELECT \(sql)")
        meter.start(CostModel.statement.value)
        meter.run(at: try #require(CostModel.widths.last))
        let error = #expect(throws: SQLiteFailure.self) { _ = try statement.step() }
        #expect(meter.isSpent && error?.isStatementFault == true)
        meter.stop()
    }

    @Test func resultsHaveALimit() throws {
        let statement = try ours.prepare("SELECT replace(hex(zeroblob(4000)), '0', hex(zeroblob(4000)))")
        let error = #expect(throws: SQLiteFailure.self) { _ = try statement.step() }
        #expect(error?.primaryCode == SQLITE_TOOBIG)
    }
}
