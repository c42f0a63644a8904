/// What is wrong with a CSV file, and where. The description is one line that lacks the file's name and line.
public struct CSVError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public enum Reason: Hashable, Sendable {
        /// No header: the file is empty.
        case empty
        /// A column without a name.
        case noName
        /// A column with the name of an earlier one.
        case sameName(as: Int)
        /// More columns than the reader takes.
        case tooManyColumns(limit: Int)
        /// A row that is shorter or longer than the header.
        case width(Int, header: Int)
        /// A line with nothing on it.
        case blankLine
        /// A quote within a cell that does not begin with one, or text behind a closing quote.
        case quote
        /// A quote that is never closed.
        case openQuote
        /// CR without LF outside quotes.
        case bareCarriageReturn
        /// Bytes that are not UTF-8.
        case notUTF8
        /// A zero byte, behind which SQL does not look.
        case zeroByte
        /// A cell with more bytes than the reader takes.
        case cellTooLarge(limit: Int)
        /// Memory ran out.
        case memory
    }

    /// What is wrong.
    public let reason: Reason
    /// The line on which the cell begins, from 1. Line ends within quotes count.
    public let line: Int
    /// The row, from 1; 0 is the header.
    public let row: Int
    /// The cell of the row, from 1; nil if it is the whole row.
    public let column: Int?

    /// One line, such as `row 3, column 2: the quote is never closed`.
    public var description: String {
        let place = row == 0 ? "header" : "row \(row)"
        return "\(place)\(column.map { ", column \($0)" } ?? ""): \(reason)"
    }
}

extension CSVError.Reason: CustomStringConvertible {
    /// Without the place.
    public var description: String {
        switch self {
        case .empty: "there is none; the file is empty"
        case .noName: "has no name"
        case .sameName(let column): "has the name of column \(column)"
        case .tooManyColumns(let limit): "is one more than \(limit), the most that are read"
        case .width(let count, let header): "the row has \(count) cells, the header \(header)"
        case .blankLine: "is a blank line; an empty cell alone on its line is written \"\""
        case .quote: "quotes enclose a whole cell, and one within them is doubled"
        case .openQuote: "the quote is never closed"
        case .bareCarriageReturn: "has a carriage return without a line feed; quote the cell"
        case .notUTF8: "is not UTF-8"
        case .zeroByte: "has a zero byte"
        case .cellTooLarge(let limit): "has more than \(limit) bytes; a quote may be missing"
        case .memory: "there is not enough memory"
        }
    }
}
