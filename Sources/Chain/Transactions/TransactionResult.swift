import Bytes

/// The result of a transaction in a block. Part of the application hash, hence equal on every node.
public struct TransactionResult: Hashable, Sendable, WireDecodable {
    /// A `TransactionCode`, or an application's own code.
    public let code: UInt32
    /// The cost of the execution.
    public let gas: Int64
    /// The reason for failure or the transaction's output, truncated to `ChainLimits.resultLogBytes`.
    public let log: String

    /// Creates a result from its parts.
    public init(code: UInt32, gas: Int64 = 0, log: String = "") {
        self.code = code
        self.gas = gas
        self.log = log.utf8.count <= ChainLimits.resultLogBytes ? log : Self.cut(log)
    }

    /// Creates a result with one of the chain's codes.
    public init(_ code: TransactionCode, gas: Int64 = 0, log: String = "") {
        self.init(code: code.rawValue, gas: gas, log: log)
    }

    /// Whether the transaction succeeded.
    public var isOK: Bool { code == TransactionCode.ok.rawValue }

    /// Truncates between characters. Examines only the bytes to keep, because a log may have megabytes.
    private static func cut(_ log: String) -> String {
        var bytes = log.utf8.prefix(ChainLimits.resultLogBytes)
        while !bytes.isEmpty {
            if let text = String(bytes) { return text }
            bytes.removeLast()
        }
        return ""
    }

    package static let kind = "transaction result"

    package init(from reader: inout ByteReader) throws(BytesError) {
        try reader.version()
        code = try reader.u32()
        gas = try reader.i64()
        log = try reader.cstring(limit: ChainLimits.resultLogBytes)
    }

    /// u16 version 0, u32 code, i64 gas, cstring log: the node's own format, for its block log and
    /// application hash.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 16 + log.utf8.count)
        writer.put(u16: 0)
        writer.put(u32: code)
        writer.put(i64: gas)
        writer.put(cstring: log)
        return writer.bytes
    }
}
