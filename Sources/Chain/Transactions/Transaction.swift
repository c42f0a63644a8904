import Bytes
import Crypto

/// A signed transaction, decoded once into slices of its bytes (docs/wire.md, section 3).
///
/// Immutable; may be read from any thread. It keeps its bytes alive, and with them the message or mapping
/// they are a slice of.
public final class Transaction: Sendable {
    /// The whole transaction, as sent and stored.
    public let bytes: SharedBytes
    /// The txid: SHA-256 of `bytes`.
    public let id: Hash
    /// The signed part.
    public let body: TransactionBody
    /// The body as it was encoded.
    public let bodyBytes: SharedBytes
    /// How the signed message is formed.
    public let serialization: Serialization
    /// A public key or an Ethereum address.
    public let sender: SharedBytes
    /// The signature; empty for an unsigned transaction.
    public let signature: SharedBytes
    /// The kind of signature.
    public let signatureType: SignatureType

    /// Decodes a transaction, whose ID, the SHA-256 of `bytes`, may already be known. Rejects trailing bytes,
    /// unknown versions and non-minimal lengths. Does not verify the signature.
    package init(decoding bytes: SharedBytes, id: Hash? = nil) throws(ChainError) {
        guard bytes.count <= ChainLimits.transactionBytes else {
            throw .tooLarge("transaction", count: bytes.count, limit: ChainLimits.transactionBytes)
        }
        var reader = ByteReader(bytes)
        do throws(BytesError) {
            try reader.version()
            let encodedSignature = try reader.cbytes()
            if encodedSignature.isEmpty {
                signature = encodedSignature
                signatureType = .other("")
            } else {
                var inner = ByteReader(encodedSignature)
                signature = try inner.lengthPrefixed()
                signatureType = SignatureType(try inner.cstring(limit: ChainLimits.nameBytes))
                try inner.finish()
            }
            bodyBytes = try reader.cbytes()
            body = try TransactionBody(whole: bodyBytes)
            guard
                let serialization = Serialization(rawValue: try reader.cstring(limit: ChainLimits.nameBytes))
            else { throw .invalid("a known serialization") }
            self.serialization = serialization
            sender = try reader.cbytes()
            try reader.finish()
        } catch {
            throw .malformed("transaction", error)
        }
        self.bytes = bytes
        self.id = id ?? Hash.sha256(of: bytes)
    }

    /// Creates a transaction from separate parts, as JSON carries them. Does not verify the signature.
    public convenience init(
        _ body: TransactionBody, serialization: Serialization, sender: [UInt8], signature: [UInt8],
        signatureType: SignatureType
    ) throws(ChainError) {
        let bodyBytes = body.bytes
        var inner = ByteWriter()
        if !signature.isEmpty {
            inner.put(lengthPrefixed: signature)
            inner.put(cstring: signatureType.description)
        }
        var writer = ByteWriter(capacity: bodyBytes.count + 192)
        writer.put(u16: 0)
        writer.put(cbytes: inner.bytes)
        writer.put(cbytes: bodyBytes)
        writer.put(cstring: serialization.rawValue)
        writer.put(cbytes: sender)
        try self.init(decoding: SharedBytes(writer.bytes))
    }

    /// The account that pays and whose nonce orders the transaction; nil for an unknown signature type.
    public var account: AccountID? {
        signatureType.keyType.map { AccountID(identifier: sender.array, keyType: $0) }
    }

    /// The message that the signature covers: 32 bytes for `direct`, a text for `concat`.
    public var signedMessage: [UInt8] {
        switch serialization {
        case .direct: Hash.sha256(of: bodyBytes).array
        case .concat: body.concatenated
        }
    }

    /// Verifies the signature. Takes some tens of microseconds: call it on a worker.
    public func verify() throws(ChainError) {
        guard !signature.isEmpty else { throw .unsigned }
        let message = signedMessage
        let isValid: Bool
        switch signatureType {
        case .ed25519, .secp256k1:
            guard let type = signatureType.keyType, let key = try? PublicKey(type: type, bytes: sender.array)
            else { throw .invalidSignature }
            isValid = key.verify(signature, of: message)
        case .ethereum:
            isValid = EthereumSignature.verify(signature, of: message, address: sender.array)
        case .other(let name):
            throw .unknownSignatureType(name)
        }
        guard isValid else { throw .invalidSignature }
    }

    /// Signs a body. With `ethereum`, the signature is over a personal message by a secp256k1 key, and the
    /// sender is the key's Ethereum address.
    public static func signed(
        _ body: TransactionBody, serialization: Serialization = .direct, by key: PrivateKey,
        ethereum: Bool = false
    ) throws(ChainError) -> Transaction {
        let message =
            serialization == .direct ? Hash.sha256(of: body.bytes).array : body.concatenated
        let sender: [UInt8]
        let signature: [UInt8]
        let type: SignatureType
        if ethereum {
            type = .ethereum
            guard let address = key.publicKey.ethereumAddress, let personal = key.signEthereum(message) else {
                throw .notEthereum
            }
            sender = address
            signature = personal
        } else {
            type = key.type == .ed25519 ? .ed25519 : .secp256k1
            sender = key.publicKey.bytes
            signature = key.sign(message)
        }
        return try Transaction(
            body, serialization: serialization, sender: sender, signature: signature, signatureType: type)
    }
}

extension Transaction: Hashable {
    /// Compares the txids.
    public static func == (left: Transaction, right: Transaction) -> Bool { left.id == right.id }

    /// Hashes the txid.
    public func hash(into hasher: inout Hasher) { hasher.combine(id) }
}
