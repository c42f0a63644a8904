import Bytes
import Chain

/// What a node and the processes that answer its queries say to each other over a socket. A frame is u32 length ‖ u8 kind ‖
/// body; integers are little-endian, a text is u32 length ‖ UTF-8.
///
/// The node asks with one `question`. The process says `ready` once, before its first answer. An answer is `columns`, any
/// number of `values` and `end`; or `failed` in the place of any of these.
enum QueryFrame {
    enum Kind: UInt8 {
        /// u64 rows ‖ u64 values ‖ u64 bytes ‖ u64 nanoseconds ‖ text SQL ‖ u32 count ‖ for each parameter: text name,
        /// u32 length, the value as in transactions.
        case question = 1
        /// Text: what the process cannot do without, if there is such a thing.
        case ready
        /// u16 count.
        case columns
        /// Values, each whole: first one text for each column, its name; then rows.
        case values
        /// u8 type for each column.
        case end
        /// u8 failure ‖ text.
        case failed
    }

    /// Bytes before the kind.
    static let headerBytes = 4
    /// Bytes of values after which a frame is sent.
    static let pieceBytes = 64 << 10
    /// Bytes of a frame from the process: a piece and a value, of which each byte may have become U+FFFD.
    static let answerBytes = pieceBytes + 3 * Int(CostModel.value.value) + 64
    /// Bytes of a question: more than a request to the node can hold.
    static let questionBytes = 256 << 20

    /// The types by their numbers.
    static let types: [DataType.Name] = [.text, .int8, .bytea, .bool, .uuid, .numeric, .null]

    /// The failures that go from the process to the node, by their numbers.
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

        /// The error for the node, whose database is `file`.
        func error(_ text: String, file: String) -> ExecutionError {
            switch self {
            case .invalidQuery: .invalidQuery(text)
            case .queryLimit: .queryLimit(text)
            case .corrupt: .corrupt(file: file, reason: text)
            case .unusable: .unusable(file: file, reason: text)
            case .failed: .failed(file: file, reason: text)
            }
        }

        /// What there is to say beside the case.
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
    /// u32 length ‖ UTF-8.
    mutating func put(text32 text: String) {
        put(u32: UInt32(clamping: text.utf8.count))
        put(text: text)
    }

    /// A value of a result: u8 tag ‖ content.
    mutating func put(cell value: Value) {
        switch value.scalar ?? .null {
        case .null: put(u8: 0)
        case .text(let text):
            put(u8: 1)
            put(text32: text)
        case .int8(let number):
            put(u8: 2)
            put(i64: number)
        case .bytea(let bytes):
            put(u8: 3)
            put(u32: UInt32(clamping: bytes.count))
            put(bytes: bytes)
        case .bool(let flag):
            put(u8: 4)
            put(u8: flag ? 1 : 0)
        case .uuid(let bytes):
            put(u8: 5)
            put(bytes: bytes)
        case .numeric(let text):
            put(u8: 6)
            put(u16: value.type.metadata.0)
            put(u16: value.type.metadata.1)
            put(text32: text)
        }
    }
}

extension ByteReader {
    /// u32 length ‖ UTF-8.
    mutating func text32() throws(BytesError) -> String { try text(Int(try u32())) }

    /// A value of a result.
    mutating func cell() throws(BytesError) -> Value {
        switch try u8() {
        case 0: return .null
        case 1: return .text(try text32())
        case 2: return .int8(try i64())
        case 3: return Value(.bytea(try bytes(Int(try u32()))))
        case 4:
            let flag = try u8()
            guard flag < 2 else { throw .invalid("a flag of 0 or 1") }
            return .bool(flag == 1)
        case 5: return Value(.uuid(try bytes(16)))
        case 6:
            let (precision, scale) = (try u16(), try u16())
            guard let value = Value.numeric(try text32(), precision: precision, scale: scale) else {
                throw .invalid("a decimal number")
            }
            return value
        default: throw .invalid("a value")
        }
    }
}
