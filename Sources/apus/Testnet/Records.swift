import Foundation
import SwiftCSV

/// The rows that a test network commits, read whole from a file: UnicodeData.txt of the Unicode Character Database,
/// CSV with a header line, or a JSON array of objects.
struct Records: Sendable, Equatable {
    /// A cell, of the type that its column gets in the database.
    enum Cell: Sendable, Equatable {
        case text(String)
        case integer(Int64)
        case null
    }

    enum Failure: Error, Equatable, CustomStringConvertible {
        case unreadable(String, String)
        case malformed(String, String)

        var description: String {
            switch self {
            case .unreadable(let file, let reason): "\(file): cannot be read: \(reason)"
            case .malformed(let file, let reason): "\(file): \(reason)"
            }
        }
    }

    /// Columns at most: the database's parameters per statement bound them.
    static let maximumColumns = 200
    /// Bytes of a file at most: it is held in memory.
    static let maximumFileSize = 256 << 20

    /// The table's name, an SQL identifier.
    var table: String
    /// SQL identifiers, distinct.
    var columns: [String]
    /// One cell a column.
    var rows: [[Cell]]

    init(table: String, columns: [String], rows: [[Cell]]) {
        self.table = table
        self.columns = columns
        self.rows = rows
    }

    /// Reads a file; its extension tells the format: `csv`, `json`, and `txt` for UnicodeData.txt.
    init(file: String) throws(Failure) {
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: file), options: .mappedIfSafe)
        } catch {
            throw .unreadable(file, (error as NSError).localizedDescription)
        }
        guard data.count <= Self.maximumFileSize else {
            throw .malformed(file, "is larger than \(Self.maximumFileSize) bytes")
        }
        let url = URL(filePath: file)
        switch url.pathExtension.lowercased() {
        case "csv": try self.init(csv: data, file: file)
        case "json": try self.init(json: data, file: file)
        case "txt" where url.lastPathComponent == "UnicodeData.txt":
            try self.init(unicodeData: data, file: file)
        default: throw .malformed(file, "is neither .csv nor .json nor UnicodeData.txt")
        }
        table = Self.identifier(url.deletingPathExtension().lastPathComponent, fallback: "records")
        guard !rows.isEmpty else { throw .malformed(file, "has no rows") }
        guard !columns.isEmpty, columns.count <= Self.maximumColumns else {
            throw .malformed(file, "has \(columns.count) columns, not 1 to \(Self.maximumColumns)")
        }
    }

    // MARK: Formats

    /// The fields of UnicodeData.txt (Unicode Standard Annex 44, section 5.7.1), separated by semicolons.
    private init(unicodeData data: Data, file: String) throws(Failure) {
        columns = [
            "code_point", "name", "general_category", "canonical_combining_class", "bidi_class",
            "decomposition", "decimal_digit", "digit", "numeric", "bidi_mirrored", "unicode_1_name",
            "iso_comment", "simple_uppercase", "simple_lowercase", "simple_titlecase",
        ]
        table = ""
        rows = []
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: ";", omittingEmptySubsequences: false)
            guard fields.count == columns.count else {
                throw .malformed(
                    file, "line \(rows.count + 1) has \(fields.count) fields, not \(columns.count)")
            }
            rows.append(fields.map { .text(String($0)) })
        }
    }

    private init(csv data: Data, file: String) throws(Failure) {
        guard let text = String(data: data, encoding: .utf8) else {
            throw .malformed(file, "is not UTF-8")
        }
        let csv: CSV<Enumerated>
        do {
            csv = try CSV<Enumerated>(string: text, loadColumns: false)
        } catch {
            throw .malformed(file, "is not CSV: \(error)")
        }
        table = ""
        columns = Self.identifiers(csv.header)
        rows = []
        for row in csv.rows {
            guard row.count == csv.header.count else {
                throw .malformed(
                    file, "row \(rows.count + 1) has \(row.count) cells, not \(csv.header.count)")
            }
            rows.append(row.map { .text($0) })
        }
    }

    private init(json data: Data, file: String) throws(Failure) {
        let objects: [[String: JSONCell]]
        do {
            objects = try JSONDecoder().decode([[String: JSONCell]].self, from: data)
        } catch {
            throw .malformed(file, "is not a JSON array of objects")
        }
        let names = Set(objects.flatMap(\.keys)).sorted()
        table = ""
        columns = Self.identifiers(names)
        rows = objects.map { object in names.map { object[$0]?.cell ?? .null } }
        // A column holds one type: whole numbers, or else text.
        for column in names.indices {
            let isMixed = rows.contains { if case .text = $0[column] { true } else { false } }
            guard isMixed else { continue }
            for row in rows.indices {
                if case .integer(let number) = rows[row][column] { rows[row][column] = .text(String(number)) }
            }
        }
    }

    /// A JSON value as a cell: whole numbers as such, everything else as its text.
    private struct JSONCell: Decodable {
        let cell: Cell

        init(from decoder: any Decoder) throws {
            if let container = try? decoder.singleValueContainer() {
                if container.decodeNil() {
                    cell = .null
                    return
                }
                if let flag = try? container.decode(Bool.self) {
                    cell = .text(flag ? "true" : "false")
                    return
                }
                if let number = try? container.decode(Int64.self) {
                    cell = .integer(number)
                    return
                }
                if let number = try? container.decode(Decimal.self) {
                    cell = .text(number.description)
                    return
                }
                if let text = try? container.decode(String.self) {
                    cell = .text(text)
                    return
                }
            }
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "nested value"))
        }
    }

    // MARK: Names

    /// Lower-case letters, digits and underscores, beginning with a letter.
    static func identifier(_ text: String, fallback: String) -> String {
        var out = ""
        var previous: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            switch scalar {
            case "A"..."Z":
                if let previous, ("a"..."z").contains(previous) { out.append("_") }
                out.append(Character(scalar).lowercased())
            case "a"..."z", "0"..."9": out.append(Character(scalar))
            default: if !out.isEmpty, out.last != "_" { out.append("_") }
            }
            previous = scalar
        }
        while out.last == "_" { out.removeLast() }
        guard let first = out.first else { return fallback }
        return String((first.isNumber ? "n\(out)" : out).prefix(60))
    }

    private static func identifiers(_ names: [String]) -> [String] {
        var seen: Set<String> = ["line"]
        return names.enumerated().map { index, name in
            var candidate = identifier(name, fallback: "column_\(index + 1)")
            if seen.contains(candidate) { candidate += "_\(index + 1)" }
            seen.insert(candidate)
            return candidate
        }
    }
}
