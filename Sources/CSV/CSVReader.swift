import CShims

/// Reads CSV (RFC 4180) in pieces: a header, then rows with the same number of cells.
///
/// A cell consists of its bytes, including spaces and tabs but not the enclosing quotes; an empty cell is the
/// empty text, quoted or not. Commas separate cells. Rows end with LF or CR LF, which the last row may lack.
/// A byte order mark at the start of the file is skipped. Anything ambiguous is an error, which ends reading.
/// The reader holds one row and one piece in memory.
public struct CSVReader: ~Copyable {
    /// A row after the header.
    public struct Row: Sendable, Equatable {
        /// The number of the row, from 1.
        public let number: Int
        /// The cells, as many as the header has.
        public let cells: [String]
    }

    /// The column names, distinct and not empty; none until the first line was read.
    public private(set) var header: [String] = []

    private let parser: OpaquePointer
    private let maximumColumns: Int
    private let maximumCellSize: Int
    private var cells: [String] = []
    // The number of the current row and the line of its next cell.
    private var row = 0
    private var line = 1
    // The number of cells before a CR, if that was the last byte outside quotes.
    private var cellsBeforeReturn: Int?
    // The first bytes of the file, until it is clear whether they are a byte order mark.
    private var beginning: [UInt8]? = []

    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
    /// The maximum number of bytes parsed at once; each may add a cell.
    private static let pieceSize = 64 << 10

    /// - Parameters:
    ///   - maximumColumns: the maximum number of cells in a row.
    ///   - maximumCellSize: the maximum size of a cell, in bytes.
    public init(maximumColumns: Int, maximumCellSize: Int) throws(CSVError) {
        guard let parser = apus_csv_create() else {
            throw CSVError(reason: .memory, line: 1, row: 0, column: nil)
        }
        self.parser = parser
        self.maximumColumns = maximumColumns
        self.maximumCellSize = maximumCellSize
    }

    deinit { apus_csv_destroy(parser) }

    /// Reads the next bytes of the file and passes the rows that end in them to `body`. Must not be called
    /// after an error.
    public mutating func read(_ bytes: UnsafeRawBufferPointer, _ body: (Row) -> Void) throws(CSVError) {
        guard beginning != nil else { return try parse(bytes, body) }
        // Held back so that a mark is found however the file is split.
        let missing = bytes.prefix(Self.byteOrderMark.count - (beginning?.count ?? 0))
        beginning?.append(contentsOf: missing)
        guard beginning?.count == Self.byteOrderMark.count else { return }
        try begin(body)
        try parse(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(missing.count)), body)
    }

    /// Reads the end of the file. Nothing may be read after it.
    public mutating func finish(_ body: (Row) -> Void) throws(CSVError) {
        try begin(body)
        let status = apus_csv_finish(parser)
        try take(body)
        try check(status)
        try checkReturn()
        guard !header.isEmpty else { throw CSVError(reason: .empty, line: 1, row: 0, column: nil) }
    }

    private mutating func begin(_ body: (Row) -> Void) throws(CSVError) {
        guard let bytes = beginning else { return }
        beginning = nil
        guard bytes != Self.byteOrderMark else { return }
        try bytes.withUnsafeBufferPointer { (bytes) throws(CSVError) in
            try parse(UnsafeRawBufferPointer(bytes), body)
        }
    }

    private mutating func parse(_ bytes: UnsafeRawBufferPointer, _ body: (Row) -> Void) throws(CSVError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(Self.pieceSize))
            rest = rest.dropFirst(piece.count)
            let status = apus_csv_parse(parser, piece.baseAddress, piece.count)
            try take(body)
            try check(status)
            guard apus_csv_pending(parser) <= maximumCellSize else {
                throw error(.cellTooLarge(limit: maximumCellSize), column: cells.count + 1)
            }
        }
    }

    private func check(_ status: apus_csv_status) throws(CSVError) {
        switch status {
        case APUS_CSV_OK: return
        case APUS_CSV_QUOTE: throw error(.quote, column: cells.count + 1)
        case APUS_CSV_OPEN: throw error(.openQuote, column: cells.count + 1)
        default: throw error(.memory)
        }
    }

    private func error(_ reason: CSVError.Reason, column: Int? = nil) -> CSVError {
        CSVError(reason: reason, line: line, row: row, column: column)
    }

    // MARK: Events

    /// Turns the parser's events into cells and rows.
    private mutating func take(_ body: (Row) -> Void) throws(CSVError) {
        defer { apus_csv_clear(parser) }
        var count = 0
        let events = UnsafeBufferPointer(start: apus_csv_events(parser, &count), count: count)
        for event in events {
            if event.end < 0 {
                let bytes = apus_csv_text(parser).map { $0 + event.offset }
                try add(UnsafeBufferPointer(start: bytes, count: event.count))
            } else {
                try endRow(by: UInt8(truncatingIfNeeded: event.end), body)
            }
        }
    }

    private mutating func add(_ bytes: UnsafeBufferPointer<UInt8>) throws(CSVError) {
        try checkReturn()
        let column = cells.count + 1
        guard column <= maximumColumns else {
            throw error(.tooManyColumns(limit: maximumColumns), column: column)
        }
        guard bytes.count <= maximumCellSize else {
            throw error(.cellTooLarge(limit: maximumCellSize), column: column)
        }
        guard !bytes.contains(0) else { throw error(.zeroByte, column: column) }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw error(.notUTF8, column: column)
        }
        cells.append(text)
        line += bytes.count { $0 == UInt8(ascii: "\n") }
    }

    private mutating func endRow(by end: UInt8, _ body: (Row) -> Void) throws(CSVError) {
        // The parser reports CR LF as the ends of two rows; the second has no cells.
        let isSecondHalf = cellsBeforeReturn != nil && end == UInt8(ascii: "\n") && cells.isEmpty
        if isSecondHalf {
            cellsBeforeReturn = nil
        } else {
            try checkReturn()
            try take(row: cells, body)
            if end == UInt8(ascii: "\r") { cellsBeforeReturn = cells.count }
        }
        if cellsBeforeReturn == nil {
            row += 1
            line += 1
        }
        cells.removeAll(keepingCapacity: true)
    }

    private func checkReturn() throws(CSVError) {
        if let cellsBeforeReturn { throw error(.bareCarriageReturn, column: cellsBeforeReturn) }
    }

    private mutating func take(row cells: [String], _ body: (Row) -> Void) throws(CSVError) {
        guard !cells.isEmpty else { throw error(.blankLine, column: 1) }
        guard row > 0 else {
            try check(names: cells)
            header = cells
            return
        }
        guard cells.count == header.count else {
            let column = min(cells.count, header.count) + 1
            throw error(.width(cells.count, header: header.count), column: column)
        }
        body(Row(number: row, cells: cells))
    }

    private func check(names: [String]) throws(CSVError) {
        var columns: [[UInt8]: Int] = [:]
        for (index, name) in names.enumerated() {
            guard !name.isEmpty else { throw error(.noName, column: index + 1) }
            if let first = columns.updateValue(index + 1, forKey: Array(name.utf8)) {
                throw error(.sameName(as: first), column: index + 1)
            }
        }
    }
}
