import Bytes
import CSV
import JSON

/// The readers of the supported formats. A cell keeps its bytes, or the reader refuses the file and names the place:
/// SQL text is UTF-8 without zero bytes.
extension Records {
    /// Reads UnicodeData.txt: fields separated by semicolons (Unicode Standard Annex 44, section 5.7.1).
    init(unicodeData file: String) throws(Failure) {
        let names = [
            "code_point", "name", "general_category", "canonical_combining_class", "bidi_class",
            "decomposition", "decimal_digit", "digit", "numeric", "bidi_mirrored", "unicode_1_name",
            "iso_comment", "simple_uppercase", "simple_lowercase", "simple_titlecase",
        ]
        self.init(table: "", columns: names, rows: [])
        for line in try Self.content(of: file).split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
            let number = rows.count + 1
            guard fields.count == names.count else {
                throw .malformedLine(file, number, "has \(fields.count) fields instead of \(names.count)")
            }
            var row: [Cell] = []
            for field in fields {
                guard let text = String(validating: field, as: UTF8.self), !field.contains(0) else {
                    throw .malformedLine(file, number, "\(names[row.count]) is not UTF-8 or has a zero byte")
                }
                row.append(.text(text))
            }
            rows.append(row)
        }
    }

    /// Reads CSV with a header line, strictly (`CSVReader`). Every cell is text; an empty one is the empty text.
    init(csv file: String) throws(Failure) {
        self.init(table: "", columns: [], rows: [])
        do {
            var reader = try CSVReader(
                maximumColumns: Self.maximumColumns, maximumCellSize: Self.maximumCellSize)
            var failure: CSVError?
            try FileContent.readPieces(file, limit: Self.maximumFileSize) { piece in
                do throws(CSVError) {
                    try reader.read(piece) { rows.append($0.cells.map(Cell.text)) }
                } catch {
                    failure = error
                }
                return failure == nil
            }
            if let failure { throw failure }
            try reader.finish { rows.append($0.cells.map(Cell.text)) }
            columns = Self.identifiers(reader.header)
        } catch let error as CSVError {
            throw .malformedLine(file, error.line, error.description)
        } catch {
            throw .unreadable(file, "\(error)")
        }
    }

    /// Reads a JSON array of objects. The columns are the names of all members, sorted by their bytes. A missing member
    /// is null.
    init(json file: String) throws(Failure) {
        let content = try Self.content(of: file)
        self.init(table: "", columns: [], rows: [])
        do throws(JSONError) {
            let array = try JSONDocument(content).root.array()
            var places: [JSONText: Int] = [:]
            for object in array {
                for (name, _) in try object.object() where places[name] == nil { places[name] = 0 }
                guard places.count <= Self.maximumColumns else {
                    throw object.error("makes more than \(Self.maximumColumns) columns")
                }
            }
            let names = places.keys.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
            for (index, name) in names.enumerated() { places[name] = index }
            for object in array {
                var row = [Cell](repeating: .null, count: names.count)
                for (name, value) in try object.object() {
                    if let place = places[name] { row[place] = try Self.cell(value) }
                }
                rows.append(row)
            }
            columns = Self.identifiers(names.map(\.string))
        } catch {
            throw .malformed(file, error.description)
        }
        for column in columns.indices { makeOneType(column) }
    }

    /// Returns the cell for a JSON value: an integer for a whole number, text for anything else.
    private static func cell(_ value: JSONValue) throws(JSONError) -> Cell {
        switch value.kind {
        case .null: return .null
        case .flag: return .text(try value.flag() ? "true" : "false")
        case .integer:
            if let number = try? value.integer(Int64.self) { return .integer(number) }
            return .text("\(try value.integer(UInt64.self))")
        case .decimal: return .text("\(try value.double())")
        case .text:
            let text = try value.text()
            guard !text.bytes.contains(0) else {
                throw value.error("has a zero byte, which SQL text cannot hold")
            }
            return .text(text.string)
        case .array, .object:
            throw value.error("must be a string, a number, true, false or null")
        }
    }

    /// Turns a column's integers into text if it has any text, so that it holds one type.
    private mutating func makeOneType(_ column: Int) {
        guard rows.contains(where: { if case .text = $0[column] { true } else { false } }) else { return }
        for row in rows.indices {
            if case .integer(let number) = rows[row][column] { rows[row][column] = .text(String(number)) }
        }
    }

    private static func content(of file: String) throws(Failure) -> [UInt8] {
        do {
            return try FileContent.read(file, limit: maximumFileSize)
        } catch {
            throw .unreadable(file, error.description)
        }
    }
}
