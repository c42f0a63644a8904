/// An error in a CSV file, and where. The description is one line without the file's name and line number.
public struct CSVError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public enum Reason: Hashable, Sendable {
        /// The file is empty and so has no header.
        case empty
        /// A column without a name.
        case noName
        /// A column with the same name as an earlier one.
        case sameName(as: Int)
        /// More columns than the reader accepts.
        case tooManyColumns(limit: Int)
        /// A row with fewer or more cells than the header.
        case width(Int, header: Int)
        /// An empty line.
        case blankLine
        /// A quote in an unquoted cell, or text after a closing quote.
        case quote
        /// A quote that is never closed.
        case openQuote
        /// CR without LF outside quotes.
        case bareCarriageReturn
        /// Bytes that are not UTF-8.
        case notUTF8
        /// A zero byte, at which SQL stops reading.
        case zeroByte
        /// A cell larger than the reader accepts, in bytes.
        case cellTooLarge(limit: Int)
        /// Memory ran out.
        case memory
    }

    /// What is wrong.
    public let reason: Reason
    /// The line on which the cell begins, from 1. Line breaks within quotes count.
    public let line: Int
    /// The row, from 1; 0 for the header.
    public let row: Int
    /// The cell within the row, from 1; nil for the whole row.
    public let column: Int?

    /// One line, such as `row 3, column 2: the quote is never closed`.
    public var description: String {
        let place = row == 0 ? "header" : "row \(row)"
        return "\(place)\(column.map { ", column \($0)" } ?? ""): \(reason)"
    }
}

extension CSVError.Reason: CustomStringConvertible {
    /// The reason without the place.
    public var description: String {
        switch self {
        case .empty: "is missing; the file is empty"
        case .noName: "has no name"
        case .sameName(let column): "has the name of column \(column)"
        case .tooManyColumns(let limit): "exceeds the limit of \(limit) columns"
        case .width(let count, let header): "the row has \(count) cells, the header \(header)"
        case .blankLine: "is a blank line; write a lone empty cell as \"\""
        case .quote: "quotes must enclose the whole cell; double a quote within them"
        case .openQuote: "the quote is never closed"
        case .bareCarriageReturn: "has a carriage return without a line feed; quote the cell"
        case .notUTF8: "is not UTF-8"
        case .zeroByte: "has a zero byte"
        case .cellTooLarge(let limit): "has more than \(limit) bytes; a quote may be missing"
        case .memory: "not enough memory to read it"
        }
    }
}
