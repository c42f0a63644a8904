import Bytes
import Chain

/// The protocol between a node and its query processes over a socket (docs/execution.md, "Queries"). A frame is u32
/// length ‖ u8 kind ‖ body; integers are little-endian, and a text is u32 length ‖ UTF-8.
///
/// The node sends one `question`. The process sends `ready` once, before its first answer. An answer is `columns`, any
/// number of `values`, and `end`; `failed` may replace any of these.
enum QueryFrame {
    enum Kind: UInt8 {
        /// u64 rows ‖ u64 values ‖ u64 bytes ‖ u64 nanoseconds ‖ u64 nanoseconds of processor time, 0 for any number ‖ text
        /// SQL ‖ u32 count ‖ for each parameter: text name, u32 length, the value as in transactions.
        case question = 1
        /// Text: the protection that the kernel lacks, or empty.
        case ready
        /// u16 count.
        case columns
        /// Whole values: first the name of each column as a text, then the rows.
        case values
        /// u8 type for each column.
        case end
        /// u8 failure ‖ text.
        case failed
    }

    /// The size of the length that precedes a frame, in bytes.
    static let headerBytes = 4
    /// The size of values at which the process sends a frame, in bytes.
    static let pieceBytes = 64 << 10
    /// The maximum size of a frame from the process: a piece and a value, each byte of which may have become U+FFFD.
    static let answerBytes = pieceBytes + 3 * Int(CostModel.value.value) + 64
    /// The maximum size of a question, larger than any request to the node.
    static let questionBytes = 256 << 20

    /// The types by their numbers.
    static let types: [DataType.Name] = [.text, .int8, .bytea, .bool, .uuid, .numeric, .null]

    /// The failures that a process reports, by their numbers.
    enum Failure: UInt8 {
        case invalidQuery, queryLimit, corrupt, unusable, failed

        init(_ error: ExecutionError) {
            self =
                switch error {
                case .queryLimit: .queryLimit
                case .corrupt: .corrupt
                case .unusable, .diskFull: .unusable
                case .failed, .outOfOrder: .failed
                default: .invalidQuery
                }
        }

        /// Returns the node's error for a failure with its database `file`.
        func error(_ text: String, file: String) -> ExecutionError {
            switch self {
            case .invalidQuery: .invalidQuery(text)
            case .queryLimit: .queryLimit(text)
            case .corrupt: .corrupt(file: file, reason: text)
            case .unusable: .unusable(file: file, reason: text)
            case .failed: .failed(file: file, reason: text)
            }
        }

        /// Returns the text that accompanies the failure for an error.
        static func text(_ error: ExecutionError) -> String {
            switch error {
            case .corrupt(_, let reason), .unusable(_, let reason), .failed(_, let reason): reason
            case .diskFull: "no space left"
            default: error.description
            }
        }
    }
}

extension ByteWriter {
    /// Appends a value of a result as u8 tag ‖ content.
    mutating func put(cell value: Value) {
        switch value.scalar ?? .null {
        case .null: put(u8: 0)
        case .text(let text):
            put(u8: 1)
            put(string32: text)
        case .int8(let number):
            put(u8: 2)
            put(i64: number)
        case .bytea(let bytes):
            put(u8: 3)
            put(bytes32: bytes)
        case .bool(let flag):
            put(u8: 4)
            put(u8: flag ? 1 : 0)
        case .uuid(let bytes):
            put(u8: 5)
            put(bytes: bytes)
        case .numeric(let text):
            put(u8: 6)
            put(u16: value.type.precision)
            put(u16: value.type.scale)
            put(string32: text)
        }
    }
}

extension ByteReader {
    /// Reads a value of a result.
    mutating func cell() throws(BytesError) -> Value {
        switch try u8() {
        case 0: return .null
        case 1: return .text(try string32())
        case 2: return .int8(try i64())
        case 3: return Value(.bytea(try bytes32()))
        case 4: return .bool(try flag())
        case 5: return Value(.uuid(try bytes(16)))
        case 6:
            let (precision, scale) = (try u16(), try u16())
            guard let value = Value.numeric(try string32(), precision: precision, scale: scale) else {
                throw .invalid("a decimal number")
            }
            return value
        default: throw .invalid("a value")
        }
    }
}
