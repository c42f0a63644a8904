import Bytes
import Chain

/// A query as the node sends it to a query process.
public struct QueryQuestion: Hashable, Sendable {
    /// The statement.
    public let sql: String
    /// The values of its parameters.
    public let parameters: [RawStatement.Parameter]
    /// Its limits.
    public let limits: QueryLimits

    /// Creates a query from its parts.
    public init(_ sql: String, _ parameters: [RawStatement.Parameter], _ limits: QueryLimits = QueryLimits())
    {
        self.sql = sql
        self.parameters = parameters
        self.limits = limits
    }

    /// The frame; nil if it is larger than the process accepts.
    public var frame: [UInt8]? {
        var body = ByteWriter(capacity: sql.utf8.count + 64)
        body.put(u8: QueryFrame.Kind.question.rawValue)
        for limit in [limits.rows, limits.values, limits.bytes] { body.put(u64: UInt64(clamping: limit)) }
        for time in [limits.time, limits.processorTime ?? .zero] {
            body.put(u64: UInt64(clamping: time.nanoseconds))
        }
        body.put(string32: sql)
        body.put(u32: UInt32(clamping: parameters.count))
        for parameter in parameters {
            body.put(string32: parameter.name.string)
            body.put(bytes32: parameter.value.bytes)
        }
        guard body.bytes.count <= QueryFrame.questionBytes else { return nil }
        var frame = ByteWriter(capacity: body.bytes.count + QueryFrame.headerBytes)
        frame.put(bytes32: body.bytes)
        return frame.bytes
    }

    /// Decodes a frame without its length.
    init(decoding frame: SharedBytes) throws(BytesError) {
        var reader = ByteReader(frame)
        guard try reader.u8() == QueryFrame.Kind.question.rawValue else { throw .invalid("a question") }
        let (rows, values, bytes) = (try reader.u64(), try reader.u64(), try reader.u64())
        let (time, processor) = (Int64(clamping: try reader.u64()), Int64(clamping: try reader.u64()))
        limits = QueryLimits(
            rows: Int(clamping: rows), values: Int(clamping: values), bytes: Int(clamping: bytes),
            time: .nanoseconds(time), processorTime: processor > 0 ? .nanoseconds(processor) : nil)
        sql = try reader.string32()
        // A parameter takes at least its two lengths.
        parameters = try reader.list(reader.u32(), least: 8) { reader throws(BytesError) in
            let (name, bytes) = (try reader.string32(), try reader.bytes32())
            guard let value = try? Value(decoding: bytes) else { throw .invalid("a value") }
            return RawStatement.Parameter(name, value)
        }
        try reader.finish()
    }
}
