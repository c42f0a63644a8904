import Bytes

/// The payload `raw_statement`: one SQL statement with named parameters (docs/wire.md, section 3).
public struct RawStatement: Hashable, Sendable {
    /// A parameter as the statement names it, `$id` for instance.
    public struct Parameter: Hashable, Sendable {
        /// The name with its sign.
        public let name: RawText
        /// What is bound to it.
        public let value: Value

        /// A parameter by its parts.
        public init(_ name: String, _ value: Value) {
            self.name = RawText(name)
            self.value = value
        }
    }

    /// The statement.
    public let sql: RawText
    /// In the order that the sender gave; at most 65,535.
    public let parameters: [Parameter]

    /// A statement by its parts.
    public init(_ sql: String, _ parameters: [Parameter] = []) {
        self.sql = RawText(sql)
        self.parameters = parameters
    }

    init(from reader: inout ByteReader) throws(BytesError) {
        try reader.version()
        sql = RawText(try reader.string32())
        let count = Int(try reader.u16())
        // A parameter takes two lengths at least.
        guard count <= reader.remaining / 8 else { throw .truncated }
        var parameters: [Parameter] = []
        parameters.reserveCapacity(count)
        for _ in 0..<count {
            let name = try reader.string32()
            parameters.append(Parameter(name, try Value(nestedIn: &reader)))
        }
        self.parameters = parameters
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
