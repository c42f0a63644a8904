import Bytes
import CSV

/// The rows that a test network commits, read from a file: UnicodeData.txt of the Unicode Character Database, CSV with
/// a header line, or a JSON array of objects (RecordFormats.swift).
struct Records: Sendable, Equatable {
    /// A cell, of the type of its database column.
    enum Cell: Sendable, Equatable {
        case text(String)
        case integer(Int64)
        case null
    }

    enum Failure: Error, Equatable, CustomStringConvertible {
        case unreadable(String, String)
        case malformed(String, String)
        /// An error on one line of the file.
        case malformedLine(String, Int, String)

        var description: String {
            switch self {
            case .unreadable(let file, let reason): "cannot read \(file): \(reason)"
            case .malformed(let file, let reason): "\(file): \(reason)"
            case .malformedLine(let file, let line, let reason): "\(file):\(line): \(reason)"
            }
        }
    }

    /// The maximum number of columns, below the database's limit on a statement's parameters.
    static let maximumColumns = 200
    /// The maximum size of a file, in bytes: its rows are held in memory.
    static let maximumFileSize = 256 << 20
    /// The maximum size of a cell, in bytes: a larger one fits no block.
    static let maximumCellSize = 8 << 20

    /// The table's name, an SQL identifier.
    var table: String
    /// The names of the columns: distinct SQL identifiers.
    var columns: [String]
    /// The rows, with one cell per column. The first row is the table's line 1.
    var rows: [[Cell]]
}

extension Records {
    /// Reads a file, in the format of its extension: `csv`, `json`, or `txt` for UnicodeData.txt.
    init(file: String) throws(Failure) {
        let name = file.split(separator: "/").last ?? ""
        let dot = name.lastIndex(of: ".") ?? name.endIndex
        switch name[dot...].lowercased() {
        case ".csv": try self.init(csv: file)
        case ".json": try self.init(json: file)
        case ".txt" where name == "UnicodeData.txt": try self.init(unicodeData: file)
        default: throw .malformed(file, "must be a .csv or .json file, or UnicodeData.txt")
        }
        table = Self.identifier(String(name[..<dot]), fallback: "records")
        guard !rows.isEmpty else { throw .malformed(file, "has no rows") }
        guard !columns.isEmpty, columns.count <= Self.maximumColumns else {
            throw .malformed(file, "has \(columns.count) columns; it must have 1 to \(Self.maximumColumns)")
        }
    }

    // MARK: Names

    /// Returns `text` as lower-case letters, digits and underscores, beginning with a letter.
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

    /// Returns distinct identifiers for the names.
    static func identifiers(_ names: [String]) -> [String] {
        var seen: Set<String> = ["line"]
        return names.enumerated().map { index, name in
            let wanted = identifier(name, fallback: "column_\(index + 1)")
            var candidate = wanted
            var number = index + 1
            while !seen.insert(candidate).inserted {
                candidate = "\(wanted)_\(number)"
                number += 1
            }
            return candidate
        }
    }
}
