import CShims
import TestSupport
import Testing

@testable import Execution

/// Our functions return the same results as SQLite's, byte for byte.
@Suite struct FunctionTests {
    /// A connection with our functions and one with SQLite's.
    let pair: FunctionPair

    init() throws { pair = try FunctionPair() }

    /// Expressions over arguments ?1, ?2, ?3, and the kinds of their values.
    static let cases: [(sql: String, kinds: [SampleKind])] = [
        ("length(?1)", [.any]), ("substr(?1, ?2)", [.any, .number]),
        ("substr(?1, ?2, ?3)", [.any, .number, .number]), ("substring(?1, ?2)", [.text, .number]),
        ("upper(?1)", [.any]), ("lower(?1)", [.any]), ("hex(?1)", [.any]), ("quote(?1)", [.any]),
        ("instr(?1, ?2)", [.any, .any]), ("instr(?1, ?2)", [.narrow, .narrow]),
        ("replace(?1, ?2, ?3)", [.any, .any, .any]), ("replace(?1, ?2, ?3)", [.narrow, .narrow, .narrow]),
        ("trim(?1)", [.any]), ("ltrim(?1)", [.text]), ("rtrim(?1)", [.text]), ("trim(?1, ?2)", [.any, .any]),
        ("trim(?1, ?2)", [.text, .text]), ("ltrim(?1, ?2)", [.text, .text]),
        ("rtrim(?1, ?2)", [.text, .text]),
        ("trim(?1, ?2 || 'abcdefghijklmnopqrstuvwxyz')", [.text, .text]), ("?1 LIKE ?2", [.any, .any]),
        ("?1 LIKE ?2", [.narrow, .pattern]), ("?1 LIKE ?2", [.text, .pattern]),
        ("?1 LIKE ?2 ESCAPE ?3", [.narrow, .pattern, .any]),
        ("?1 LIKE ?2 ESCAPE ?3", [.narrow, .pattern, .character]), ("?1 NOT LIKE ?2", [.text, .pattern]),
        ("?1 GLOB ?2", [.narrow, .pattern]), ("?1 GLOB ?2", [.text, .pattern]),
        ("glob(?1, ?2)", [.any, .any]), ("soundex(?1)", [.any]),
        ("printf(?1, ?2, ?3)", [.format, .any, .any]),
        ("format(?1, ?2)", [.format, .number]), ("printf()", []), ("printf(?1)", [.any]),
        ("?1 = ?2 COLLATE NOCASE", [.narrow, .narrow]), ("?1 < ?2 COLLATE NOCASE", [.text, .text]),
        ("?1 < ?2 COLLATE RTRIM", [.narrow, .narrow]), ("?1 = ?2 || '  ' COLLATE RTRIM", [.narrow, .narrow]),
        ("max(?1, ?2, ?3)", [.any, .any, .any]), ("min(?1 COLLATE NOCASE, ?2)", [.narrow, .narrow]),
        ("json(?1)", [.any]), ("json(?1)", [.json]), ("json_valid(?1)", [.json]), ("json_valid(?1)", [.any]),
        ("json_type(?1)", [.json]), ("json_type(?1, ?2)", [.json, .path]),
        ("json_array_length(?1)", [.json]), ("json_array_length(?1, ?2)", [.json, .path]),
        ("json_extract(?1, ?2)", [.json, .path]), ("json_extract(?1, ?2, ?3)", [.json, .path, .path]),
        ("json_extract(?1, ?2)", [.any, .any]), ("json_extract(?1)", [.json]), ("json_extract()", []),
        ("?1 -> ?2", [.json, .path]), ("?1 ->> ?2", [.json, .path]), ("?1 -> ?2", [.json, .number]),
        ("json_quote(?1)", [.any]), ("json_quote(json(?1))", [.json]), ("json_array()", []),
        ("json_array(?1, ?2, json(?3))", [.any, .any, .json]), ("json_object()", []),
        ("json_object(?1, ?2)", [.text, .any]),
        ("json_object(?1, json(?2), json(?3), 1)", [.any, .json, .json]),
        ("json_object(?1)", [.text]), ("json_set(?1, ?2, ?3)", [.json, .path, .any]),
        ("json_set(?1, ?2, json(?3))", [.json, .path, .json]),
        ("json_set(?1, ?2, 1, ?3, json_array(?1))", [.json, .path, .path]),
        ("json_set(?1, ?2)", [.json, .path]), ("json_insert(?1, ?2, ?3)", [.json, .path, .any]),
        ("json_replace(?1, ?2, ?3)", [.json, .path, .any]), ("json_replace(?1, ?2, x'00')", [.json, .path]),
        ("json_remove(?1, ?2)", [.json, .path]), ("json_remove(?1, ?2, ?3)", [.json, .path, .path]),
        ("json_remove(?1)", [.json]), ("json_patch(?1, ?2)", [.json, .json]),
        ("json_patch(?1, ?2)", [.any, .json]), ("subtype(json_patch(?1, ?2))", [.json, .json]),
        ("subtype(?1 -> ?2) || subtype(json_extract(?1, ?2)) || subtype(json_array(?1))", [.json, .path]),
    ]

    @Test(arguments: FunctionTests.cases.indices) func scalarsAreSQLitesOwn(_ index: Int) throws {
        let (sql, kinds) = Self.cases[index]
        var samples = Samples(seed: UInt64(index))
        for _ in 0..<(kinds.isEmpty ? 1 : 1_000) {
            let values = kinds.map { samples.value($0) }
            let (ours, theirs) = try pair.results(of: "SELECT \(sql)", values)
            #expect(ours == theirs, "\(sql) of \(values)")
        }
    }

    /// Otherwise a schema that one accepts would be invalid for the other.
    @Test func flagsAreSQLitesOwn() throws {
        let sql = "SELECT DISTINCT name, flags FROM pragma_function_list ORDER BY name, flags"
        let flags = try [pair.ours, pair.theirs].map { connection in
            let statement = try connection.prepare(sql)
            var flags: [String] = []
            while try statement.step() { flags.append("\(statement.text(0)) \(statement.int(1))") }
            return flags
        }
        #expect(flags[0] == flags[1])
    }

    /// Also where the result would exceed the size of a value.
    @Test(arguments: [
        "upper(?1)", "hex(?1)", "replace(?1, 'a', 'bcd')", "trim(?1, 'a')", "json_array(?1)",
        "json_object(?1, 1)", "json_quote(?1)", "json(?1)", "substr(?1, 1, 30)",
        "(SELECT json_group_array(?1) FROM (SELECT 1 UNION ALL SELECT 2))", "(?1) LIKE '%a'",
        "(SELECT json_group_object(?1, 2) FROM (SELECT 1 UNION ALL SELECT 2))",
    ]) func sizesAreSQLitesOwn(_ sql: String) throws {
        for text in ["a", "\u{1}", "\"", "1"] {
            for count in 1..<70 {
                let value = Sample.text([UInt8](String(repeating: text, count: count).utf8))
                let (ours, theirs) = try pair.results(of: "SELECT \(sql)", [value], limit: 64)
                #expect(ours == theirs, "\(sql) of \(count) \(value)")
            }
        }
    }

    /// SQLite's returns NULL, which is not an error that a larger width could fix.
    @Test func largeFormatsAreErrors() throws {
        #expect(try pair.cost(of: "SELECT printf('%9000000d', 1)").failure == "string or blob too big")
        for (count, isTooLarge) in [(60, false), (65, true)] {
            let (ours, theirs) = try pair.results(
                of: "SELECT printf('%.*c', ?1, 'x')", [.integer(Int64(count))], limit: 64)
            #expect(ours == (isTooLarge ? .failure("string or blob too big") : theirs))
        }
        let (ours, theirs) = try pair.results(of: "SELECT printf('%s', '') IS NULL", [])
        #expect(ours == theirs)
    }

    @Test(arguments: [
        "json_group_array(a)", "json_group_object(a, b)", "json_group_array(json(b))",
        "json_group_array(json_array(a))", "group_concat(a)", "json_array(json_group_array(b))",
        "json_group_object(typeof(a), json(b))", "json_group_array(a) FILTER (WHERE b > 'b')",
        "json_group_array(DISTINCT a)", "subtype(json_group_array(a))",
    ]) func aggregatesAreSQLitesOwn(_ sql: String) throws {
        var samples = Samples(seed: 7)
        for round in 0..<30 {
            let rows = (0..<(round % 7)).map { _ in [samples.value(.any), samples.value(.json)] }
            let values = rows.flatMap { $0 } + [.integer(1)]
            let list = rows.indices.map { "SELECT ?\($0 * 2 + 1) AS a, ?\($0 * 2 + 2) AS b" }
            let table =
                "(\(list.isEmpty ? "SELECT 1 AS a, 1 AS b WHERE 0" : list.joined(separator: " UNION ALL ")))"
            let last = "?\(values.count) = 1"
            var queries = ["SELECT \(sql) FROM \(table) WHERE \(last)"]
            if !sql.contains("DISTINCT"), !sql.hasPrefix("json_array("), !sql.hasPrefix("subtype") {
                for frame in [
                    "2 PRECEDING AND CURRENT ROW", "1 PRECEDING AND 1 FOLLOWING",
                    "1 FOLLOWING AND 2 FOLLOWING",
                ] {
                    queries.append(
                        "SELECT group_concat(quote(x), ';') FROM (SELECT \(sql) OVER (ROWS BETWEEN \(frame)) AS x FROM \(table) WHERE \(last))"
                    )
                }
            }
            for query in queries {
                let (ours, theirs) = try pair.results(of: query, values)
                #expect(ours == theirs, "\(query) of \(values)")
            }
        }
    }

    /// Table-valued functions with each of their columns.
    @Test(arguments: [
        "SELECT group_concat(quote(key) || quote(value) || type || quote(atom) || id || quote(parent) || fullkey || path, ' ') FROM json_each(?1)",
        "SELECT group_concat(quote(key) || quote(value) || type || quote(atom) || id || quote(parent) || fullkey || path, ' ') FROM json_tree(?1)",
        "SELECT group_concat(quote(fullkey) || quote(value) || json || root || rowid, ' ') FROM json_tree(?1, ?2)",
        "SELECT group_concat(quote(fullkey) || quote(value), ' ') FROM json_each(?1, ?2)",
        "SELECT count(*) FROM json_each(?1, ?2)", "SELECT count(*) FROM json_each",
        "SELECT count(*) FROM json_each(NULL)",
        "SELECT count(*) FROM json_each(?1) WHERE root = ?2",
        "SELECT key FROM json_tree WHERE json = ?1 AND root = ?2",
        "SELECT json_group_array(value) FROM json_each(?1)",
        "SELECT json_group_array(e.value || t.fullkey) FROM json_each(?1) e, json_tree(e.value) t WHERE e.type = 'array'",
        "SELECT a.key, group_concat(b.key) FROM json_each(?1) a, json_each(?1) b",
        "SELECT atom FROM json_tree(?1) ORDER BY rowid DESC LIMIT 1",
        "SELECT quote(value) FROM json_each(?1) ORDER BY 1 LIMIT 1 OFFSET 1",
        "SELECT max(fullkey) FROM json_tree(?1) WHERE type = 'integer'",
        "SELECT subtype(value) FROM json_each(?1)",
    ]) func tablesAreSQLitesOwn(_ sql: String) throws {
        var samples = Samples(seed: 3)
        for _ in 0..<(sql.contains("?") ? 500 : 1) {
            let values = [samples.value(.json), samples.value(.path)].prefix(
                sql.contains("?2") ? 2 : sql.contains("?1") ? 1 : 0)
            let (ours, theirs) = try pair.results(of: sql, Array(values))
            #expect(ours == theirs, "\(sql) of \(values)")
        }
    }
}
