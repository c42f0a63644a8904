import Bytes

/// What became of a transaction in a block. Part of the application hash, so equal on every node.
public struct TransactionResult: Hashable, Sendable {
    /// `TransactionCode`, or an application's own.
    public let code: UInt32
    /// What the execution cost.
    public let gas: Int64
    /// Why it failed, or what it said; cut at `ChainLimits.resultLogBytes`.
    public let log: String

    /// A result by its parts.
    public init(code: UInt32, gas: Int64 = 0, log: String = "") {
        self.code = code
        self.gas = gas
        self.log = log.utf8.count <= ChainLimits.resultLogBytes ? log : Self.cut(log)
    }

    /// A result with one of the chain's codes.
    public init(_ code: TransactionCode, gas: Int64 = 0, log: String = "") {
        self.init(code: code.rawValue, gas: gas, log: log)
    }

    /// Whether the transaction had its effect.
    public var isOK: Bool { code == TransactionCode.ok.rawValue }

    /// Cuts at a character. A log may have megabytes, of which only the bytes that stay are looked at.
    private static func cut(_ log: String) -> String {
        var bytes = log.utf8.prefix(ChainLimits.resultLogBytes)
        while !bytes.isEmpty {
            if let text = String(bytes) { return text }
            bytes.removeLast()
        }
        return ""
    }

    /// Decodes a result; refuses trailing bytes.
    public init(decoding bytes: SharedBytes) throws(ChainError) {
        self = try decodeWhole("transaction result", bytes) { reader throws(BytesError) in
            try TransactionResult(from: &reader)
        }
    }

    init(from reader: inout ByteReader) throws(BytesError) {
        try reader.version()
        code = try reader.u32()
        gas = try reader.i64()
        log = try reader.cstring(limit: ChainLimits.resultLogBytes)
    }

    /// u16 version 0, u32 code, i64 gas, cstring log: the node's own format, for its log and application hash.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 16 + log.utf8.count)
        writer.put(u16: 0)
        writer.put(u32: code)
        writer.put(i64: gas)
        writer.put(cstring: log)
        return writer.bytes
    }
}
