import Chain
import Crypto
import Foundation
import Multiformats

/// A transaction as Kwil's clients write it: byte strings in base64, the sender in hexadecimal, the fee as decimal
/// text (the `transaction` schema of Kwil's OpenRPC documents).
struct TransactionJSON: Codable, Sendable {
    struct Signature: Codable, Sendable {
        var sig: Data
        var type: String
    }

    struct Body: Codable, Sendable {
        var desc: String?
        var payload: Data
        var type: String
        var fee: String?
        var nonce: UInt64
        var chainId: String
    }

    var signature: Signature?
    var body: Body
    var serialization: String
    var sender: String

    init(_ transaction: Transaction) {
        signature =
            transaction.signature.isEmpty
            ? nil
            : Signature(
                sig: Data(transaction.signature.array), type: transaction.signatureType.description)
        let body = transaction.body
        self.body = Body(
            desc: body.description, payload: Data(body.payload.array), type: body.payloadType,
            fee: (body.fee ?? .zero).description, nonce: body.nonce, chainId: body.chainID)
        serialization = transaction.serialization.rawValue
        sender = Hex.encode(transaction.sender.array)
    }

    /// The same transaction in its wire encoding; throws what is wrong with the text forms.
    func transaction() throws(JSONRPC.Failure) -> Transaction {
        let fee: Amount?
        switch body.fee {
        case nil, "": fee = .zero
        case .some(let text):
            guard let amount = Amount(text) else { throw Self.wrong("body.fee is not a decimal number") }
            fee = amount
        }
        guard let serialization = Serialization(rawValue: serialization) else {
            throw Self.wrong("serialization is neither concat nor direct")
        }
        guard let sender = try? Hex.decode(sender) else { throw Self.wrong("sender is not hexadecimal") }
        let content = TransactionBody(
            description: body.desc ?? "", payload: SharedBytes(Array(body.payload)), payloadType: body.type,
            fee: fee, nonce: body.nonce, chainID: body.chainId)
        do {
            return try Transaction(
                content, serialization: serialization, sender: sender,
                signature: signature.map { Array($0.sig) } ?? [],
                signatureType: SignatureType(signature?.type ?? ""))
        } catch {
            throw Self.wrong("\(error)")
        }
    }

    private static func wrong(_ reason: String) -> JSONRPC.Failure {
        JSONRPC.Failure(
            .broadcastRejected, "transaction: \(reason)",
            data: .init(code: TransactionCode.encodingError.rawValue, hash: "", message: reason))
    }
}

/// A hash as Kwil writes it: 64 hexadecimal digits. Kwil's OpenRPC documents describe it as an array of bytes, which
/// is therefore read too.
struct HashJSON: Codable, Sendable {
    var hash: Hash

    init(_ hash: Hash) { self.hash = hash }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            guard let hash = Hash(hex: text) else {
                throw DecodingError.dataCorruptedError(
                    in: container, debugDescription: "not a hash of 64 hexadecimal digits")
            }
            self.hash = hash
        } else {
            guard let hash = try? Hash(container.decode([UInt8].self)) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a hash")
            }
            self.hash = hash
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hash.description)
    }
}

/// The result of a transaction's execution.
struct TransactionResultJSON: Codable, Sendable {
    var code: UInt32
    var gas: Int64
    var log: String?

    init(_ result: TransactionResult) {
        code = result.code
        gas = result.gas
        log = result.log.isEmpty ? nil : result.log
    }
}
