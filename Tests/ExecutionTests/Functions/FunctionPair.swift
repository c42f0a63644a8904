import CShims
import Collections
import TestSupport

@testable import Execution

/// A connection with our functions and one with SQLite's.
struct FunctionPair {
    let ours: SQLiteConnection
    let theirs: SQLiteConnection
    let meter = CostMeter()

    init() throws {
        ours = try SQLiteConnection(path: ":memory:", access: .readWrite)
        meter.attach(to: ours)
        try BoundedFunctions.register(on: ours, meter)
        theirs = try SQLiteConnection(path: ":memory:", access: .readWrite)
    }

    /// Returns the first value of the first row, or the failure, of both; values have up to `limit` bytes.
    func results(
        of sql: String, _ values: [Sample], limit: Int = CostModel.value.value
    ) throws -> (ours: SampleResult, theirs: SampleResult) {
        (
            try Self.result(of: sql, values, on: ours, limit),
            try Self.result(of: sql, values, on: theirs, limit)
        )
    }

    private static func result(
        of sql: String, _ values: [Sample], on connection: SQLiteConnection, _ limit: Int
    ) throws -> SampleResult {
        let statement = try connection.prepare(sql)
        for (index, value) in values.enumerated() { try value.bind(to: statement, at: index + 1) }
        sqlite3_limit(connection.handle, SQLITE_LIMIT_LENGTH, Int32(limit))
        defer { sqlite3_limit(connection.handle, SQLITE_LIMIT_LENGTH, Int32(CostModel.value.value)) }
        do throws(SQLiteFailure) {
            guard try statement.step() else { return .failure("no row") }
        } catch {
            return .failure(error.message)
        }
        return .value(kind: statement.columnClass(0), statement.bytes(0))
    }

    /// Returns the cost of a statement in units, with instructions priced for small values, and its failure.
    func cost(
        of sql: String, _ values: [Sample] = [], budget: Int = CostModel.statement.value
    ) throws -> (units: Int, failure: String?) {
        let statement = try ours.prepare(sql)
        for (index, value) in values.enumerated() { try value.bind(to: statement, at: index + 1) }
        statement.takeInstructionCount()
        meter.start(budget)
        meter.run(at: CostModel.Width(bytes: CostModel.value.value, price: 1))
        defer { meter.stop() }
        do throws(SQLiteFailure) {
            while try statement.step() {}
        } catch {
            return (meter.used, error.message)
        }
        return (meter.used, nil)
    }
}

/// The outcome of a statement.
enum SampleResult: Equatable {
    case value(kind: Int32, [UInt8])
    case failure(String)
}

/// A value in SQL.
enum Sample: CustomStringConvertible {
    case null
    case integer(Int64)
    case real(Double)
    case text([UInt8])
    case blob([UInt8])

    func bind(to statement: SQLiteStatement, at index: Int) throws(SQLiteFailure) {
        switch self {
        case .null: try statement.bindNull(index)
        case .integer(let value): try statement.bind(index, value)
        case .real(let value): sqlite3_bind_double(statement.handle, Int32(index), value)
        case .text(let bytes):
            bytes.withUnsafeBytes {
                _ = apus_sqlite_bind_text(statement.handle, Int32(index), $0.baseAddress, UInt64($0.count))
            }
        case .blob(let bytes): try statement.bind(index, bytes)
        }
    }

    var description: String {
        switch self {
        case .null: "NULL"
        case .integer(let value): "\(value)"
        case .real(let value): "\(value)"
        case .text(let bytes): "text \(bytes) (\(String(decoding: bytes, as: UTF8.self)))"
        case .blob(let bytes): "blob \(bytes)"
        }
    }
}

/// The kind of random value for an argument.
enum SampleKind {
    case any
    case number
    case text
    /// Texts of two letters, so that they occur in each other.
    case narrow
    case pattern
    case character
    case format
    case json
    case path
}

/// Random values, determined by a seed.
struct Samples {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    private mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

    private mutating func one<T>(_ values: [T]) -> T { values[below(values.count)] }

    private mutating func joined(_ parts: [String], atMost count: Int) -> [UInt8] {
        (0..<below(count + 1)).flatMap { _ in [UInt8](one(parts).utf8) }
    }

    mutating func value(_ kind: SampleKind) -> Sample {
        switch kind {
        case .any:
            switch below(10) {
            case 0: return .null
            case 1, 2: return value(.number)
            case 3, 4, 5: return .blob(bytes())
            default: return .text(bytes())
            }
        case .number:
            return below(8) == 0
                ? one([.null, .real(1.5), .real(-2.5e300), .real(.infinity), .text([0x33])])
                : .integer(
                    one([0, 1, 2, 3, -1, -2, -3, 7, 100, -100, .min, .max, 1 << 31, -1 << 31, 1 << 32]))
        case .text: return .text(bytes())
        case .narrow:
            let bytes = joined(["a", "a", "a", "b", "B", " ", "é"], atMost: below(8) == 0 ? 40 : 6)
            return below(8) == 0 ? .blob(bytes) : .text(bytes)
        case .pattern:
            return .text(
                joined(
                    [
                        "a", "b", "A", "é", "%", "_", "*", "?", "[ab]", "[^a]", "[a-c]", "[]a]", "[", "]",
                        "\\", "x", "-", "^",
                    ], atMost: 9)
            )
        case .character:
            return .text(one([[0x5C], [0x25], [0x5F], [0xC3, 0xA9], [0x78], [0x61], [0x61, 0, 0x62]]))
        case .format: return .text(format())
        case .json: return below(12) == 0 ? value(.any) : .text([UInt8](json(depth: 3).utf8))
        case .path:
            let parts = [".a", ".b", "[0]", "[1]", "[#]", "[#-1]", ".\"a\"", "[2].a", ".c"]
            return .text([UInt8](one(["$", "$", "$", "$", "", "a", "$$"]).utf8) + joined(parts, atMost: 3))
        }
    }

    /// Returns valid and invalid UTF-8.
    private mutating func bytes() -> [UInt8] {
        let alphabet: [[UInt8]] = [
            [0x61], [0x41], [0x62], [0x20], [0x20], [0x25], [0x5F], [0x2A], [0x22], [0x27], [0x5C], [0x09],
            [0x01],
            [0xC3, 0xA9], [0xC3], [0xA9], [0x80], [0xBF], [0xE2, 0x82, 0xAC], [0xF0, 0x9F, 0x98, 0x80],
            [0xF0, 0x9F],
            [0xED, 0xA0, 0x80], [0xEF, 0xBF, 0xBE], [0xFF], [0xFD], [0xFC, 0x80, 0x80, 0x80, 0x80, 0x80],
            [0xC0, 0x80],
            [0x00], [0x37], [0x7F], [0x5B], [0x5D],
        ]
        return (0..<below(below(6) == 0 ? 40 : 8)).flatMap { _ in one(alphabet) }
    }

    private mutating func format() -> [UInt8] {
        joined(
            [
                "%d", "%s", "%5s", "%-6d|", "%.3f", "%g", "%e", "%x", "%c", "%.4c", "%q", "%Q", "%w", "%%",
                "%,d", "%!.2s",
                "%*d", "%.*s", "a", "é", "%+d", "%010.3f", "%z", "%", "%.200f", "%i", "%300d",
            ], atMost: 4)
    }

    private mutating func json(depth: Int) -> String {
        switch below(depth == 0 ? 8 : 14) {
        case 0: "null"
        case 1: "true"
        case 2: "1"
        case 3: "-2.5e3"
        case 4: "\"a\""
        case 5: one(["\"\\u00e9\\n\\\"\"", "\"é\"", "\"\\ud83d\\ude00\"", "\"\""])
        case 6: " 17 "
        case 7: one(["nul", "[1,", "{\"a\"}", "'a'", "[1 2]", "01", "\"\u{1}\"", "{a:1}"])
        case 8...10: "[" + (0..<below(4)).map { _ in json(depth: depth - 1) }.joined(separator: ", ") + "]"
        default:
            "{"
                + (0..<below(4)).map { _ in
                    "\"\(one(["a", "b", "c", "\\u0061"]))\" :\(json(depth: depth - 1))"
                }
                .joined(separator: ",") + "}"
        }
    }
}
