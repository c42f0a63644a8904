import Bytes
import Crypto

/// What a transaction's sender signs (docs/wire.md, section 3).
public struct TransactionBody: Hashable, Sendable {
    /// Free text for whoever signs, at most `ChainLimits.descriptionBytes` bytes.
    public var description: String
    /// The payload's bytes; `Payload` decodes them.
    public var payload: SharedBytes
    /// Names the payload's format, `raw_statement` for instance.
    public var payloadType: String
    /// What the sender offers for the execution; the wire knows an absent fee.
    public var fee: Amount?
    /// The sender's count of transactions, this one included.
    public var nonce: UInt64
    /// The chain that the transaction is for.
    public var chainID: String

    /// A body by its parts.
    public init(
        description: String = "", payload: SharedBytes, payloadType: String, fee: Amount? = 0, nonce: UInt64,
        chainID: String
    ) {
        self.description = description
        self.payload = payload
        self.payloadType = payloadType
        self.fee = fee
        self.nonce = nonce
        self.chainID = chainID
    }

    /// A body around a payload.
    public init(
        _ payload: Payload, description: String = "", fee: Amount? = 0, nonce: UInt64, chainID: String
    ) {
        self.init(
            description: description, payload: SharedBytes(payload.bytes), payloadType: payload.type,
            fee: fee,
            nonce: nonce, chainID: chainID)
    }

    /// Decodes a body; refuses trailing bytes.
    public init(decoding bytes: SharedBytes) throws(ChainError) {
        self = try decodeWhole("transaction body", bytes) { reader throws(BytesError) in
            try TransactionBody(from: &reader)
        }
    }

    init(from reader: inout ByteReader) throws(BytesError) {
        description = try reader.cstring(limit: ChainLimits.descriptionBytes)
        payload = try reader.cbytes()
        payloadType = try reader.cstring(limit: ChainLimits.nameBytes)
        fee = try reader.bigint()
        nonce = try reader.u64()
        chainID = try reader.cstring(limit: ChainLimits.chainIDBytes)
    }

    /// The body's bytes.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: payload.count + 96)
        writer.put(cstring: description)
        writer.put(cbytes: payload)
        writer.put(cstring: payloadType)
        writer.put(bigint: fee)
        writer.put(u64: nonce)
        writer.put(cstring: chainID)
        return writer.bytes
    }

    /// The text of the serialization `concat`, which wallets show to people.
    var concatenated: [UInt8] {
        let digest = SharedBytes(Hash.sha256(of: payload).array).slice(0..<20).array
        let text = """
            \(description)

            PayloadType: \(payloadType)
            PayloadDigest: \(Hex.encode(digest))
            Fee: \(fee ?? .zero)
            Nonce: \(nonce)

            Kwil Chain ID: \(chainID)

            """
        return Array(text.utf8)
    }
}

/// How the message that a sender signs is made from the body.
public enum Serialization: String, Sendable {
    /// A text for people.
    case concat
    /// SHA-256 of the body's bytes.
    case direct
}
