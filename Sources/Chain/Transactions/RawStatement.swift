import Bytes

/// The payload `raw_statement`: one SQL statement with named parameters (docs/wire.md, section 3).
public struct RawStatement: Hashable, Sendable {
    /// A parameter, named as in the statement, such as `$id`.
    public struct Parameter: Hashable, Sendable {
        /// The name, including its `$`.
        public let name: RawText
        /// The value to bind.
        public let value: Value

        /// Creates a parameter from its parts.
        public init(_ name: String, _ value: Value) {
            self.name = RawText(name)
            self.value = value
        }
    }

    /// The statement.
    public let sql: RawText
    /// The parameters, in the sender's order; at most 65,535.
    public let parameters: [Parameter]

    /// Creates a statement from its parts.
    public init(_ sql: String, _ parameters: [Parameter] = []) {
        self.sql = RawText(sql)
        self.parameters = parameters
    }

    init(from reader: inout ByteReader) throws(BytesError) {
        try reader.version()
        sql = RawText(try reader.string32())
        // A parameter takes at least two lengths.
        parameters = try reader.list(reader.u16(), least: 8) { reader throws(BytesError) in
            Parameter(try reader.string32(), try Value(whole: reader.bytes32()))
        }
    }

    func write(to writer: inout ByteWriter) {
        writer.put(u16: 0)
        writer.put(string32: sql.string)
        writer.put(u16: UInt16(clamping: parameters.count))
        for parameter in parameters.prefix(Int(UInt16.max)) {
            writer.put(string32: parameter.name.string)
            writer.put(bytes32: parameter.value.bytes)
        }
    }
}
