import Bytes
import CSV
import JSON

/// How `Records` are read from the formats they come in. A cell has the bytes that it has in the file, or the file is
/// refused with the place of what cannot be kept: SQL text is UTF-8 without zero bytes.
extension Records {
    /// The fields of UnicodeData.txt (Unicode Standard Annex 44, section 5.7.1), separated by semicolons.
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
                throw .malformedLine(file, number, "has \(fields.count) fields, not \(names.count)")
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

    /// CSV with a header line, read strictly (`CSVReader`). Every cell is text, an empty one the empty text.
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

    /// A JSON array of objects. The columns are the names of all members, in the order of their bytes; an object that
    /// lacks one has a null there.
    init(json file: String) throws(Failure) {
        let content = try Self.content(of: file)
        self.init(table: "", columns: [], rows: [])
        do throws(JSONError) {
            let array = try JSONDocument(content).root.array()
            var places: [JSONText: Int] = [:]
            for object in array {
                for (name, _) in try object.object() where places[name] == nil { places[name] = 0 }
                guard places.count <= Self.maximumColumns else {
                    throw object.error("brings the columns to more than \(Self.maximumColumns)")
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

    /// Whole numbers as such, everything else as its text.
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
                throw value.error("has a zero byte, which SQL text cannot keep")
            }
            return .text(text.string)
        case .array, .object:
            throw value.error("must be a text, a number, true, false or null: a cell holds no more")
        }
    }

    /// A column holds one type: whole numbers, or else text.
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
