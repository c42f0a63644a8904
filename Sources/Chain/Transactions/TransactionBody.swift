import Bytes
import Crypto

/// The part of a transaction that its sender signs (docs/wire.md, section 3).
public struct TransactionBody: Hashable, Sendable, WireDecodable {
    /// Free text for the signer, at most `ChainLimits.descriptionBytes` bytes.
    public var description: String
    /// The payload's bytes; `Payload` decodes them.
    public var payload: SharedBytes
    /// The payload's type, such as `raw_statement`.
    public var payloadType: String
    /// The fee that the sender offers; the wire format allows its absence.
    public var fee: Amount?
    /// The sender's transaction count, including this one.
    public var nonce: UInt64
    /// The chain that the transaction is for.
    public var chainID: String

    /// Creates a body from its parts.
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

    /// Creates a body with a payload.
    public init(
        _ payload: Payload, description: String = "", fee: Amount? = 0, nonce: UInt64, chainID: String
    ) {
        self.init(
            description: description, payload: SharedBytes(payload.bytes), payloadType: payload.type,
            fee: fee,
            nonce: nonce, chainID: chainID)
    }

    package static let kind = "transaction body"

    package init(from reader: inout ByteReader) throws(BytesError) {
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

    /// The text of the serialization `concat`, which wallets display.
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

/// How the message that a sender signs is formed from the body.
public enum Serialization: String, Sendable {
    /// A human-readable text.
    case concat
    /// The SHA-256 of the body's bytes.
    case direct
}
