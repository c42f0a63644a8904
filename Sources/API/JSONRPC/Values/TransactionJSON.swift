import Bytes
import Chain
import Crypto
import JSON
import Node

/// A transaction in the JSON of Kwil's clients: bytes in base64, the sender in hexadecimal, the fee as a decimal string
/// (the `transaction` schema of Kwil's OpenRPC documents).
enum TransactionJSON {
    /// Reads a transaction and encodes it. Throws `JSONError` if the JSON has the wrong shape, `JSONRPC.Failure` if the
    /// transaction is invalid.
    static func read(_ value: JSONValue) throws -> Transaction { try read(value, isDraft: false) }

    /// Reads a transaction that a client has not signed yet: signature, sender, nonce, fee and chain ID may be absent, and
    /// then are empty. The payload type must be one of Kwil's. Throws as `read` does.
    static func draft(_ value: JSONValue) throws -> Transaction {
        let transaction = try read(value, isDraft: true)
        if case .other? = try? Payload(of: transaction.body) {
            throw JSONRPC.Failure(
                .invalidParameters, "tx.body.type must be a payload type of Kwil's, such as raw_statement")
        }
        return transaction
    }

    private static func read(_ value: JSONValue, isDraft: Bool) throws -> Transaction {
        var members = try value.members()
        let signature = try members.optional("signature").map { try Self.signature($0, isDraft: isDraft) }
        let body = try body(try members.value("body"), isDraft: isDraft)
        let serializationText = try members.value("serialization").string()
        let senderText = try isDraft ? members.optional("sender")?.text() : members.value("sender").text()
        guard let serialization = Serialization(rawValue: serializationText) else {
            throw wrong("serialization must be concat or direct")
        }
        guard let sender = try? senderText.map({ try Hex.decode(utf8: $0) }) ?? [] else {
            throw wrong("sender must be hexadecimal")
        }
        do {
            return try Transaction(
                body, serialization: serialization, sender: sender, signature: signature?.bytes ?? [],
                signatureType: SignatureType(signature?.type ?? ""))
        } catch {
            throw wrong("\(error)")
        }
    }

    private static func signature(
        _ value: JSONValue, isDraft: Bool
    ) throws(JSONError) -> (bytes: [UInt8], type: String) {
        var members = try value.members()
        // kwil-js names the type before it has signed.
        let bytes = try isDraft ? members.optional("sig")?.base64() : members.value("sig").base64()
        return (bytes ?? [], try members.value("type").string())
    }

    private static func body(_ value: JSONValue, isDraft: Bool) throws -> TransactionBody {
        var members = try value.members()
        let description = try members.optional("desc")?.string() ?? ""
        let payload = try members.value("payload").base64()
        let type = try members.value("type").string()
        let feeText = try members.optional("fee")?.string() ?? ""
        let nonce = try (isDraft ? members.optional("nonce") : members.value("nonce"))?.integer(UInt64.self)
        let chainID = try (isDraft ? members.optional("chain_id") : members.value("chain_id"))?.string()
        guard let fee = feeText.isEmpty ? .zero : Amount(feeText) else {
            throw wrong("body.fee must be a decimal number")
        }
        return TransactionBody(
            description: description, payload: SharedBytes(payload), payloadType: type, fee: fee,
            nonce: nonce ?? 0, chainID: chainID ?? "")
    }

    private static func wrong(_ reason: String) -> JSONRPC.Failure {
        JSONRPC.Failure(
            .broadcastRejected, "transaction: \(reason)",
            data: .init(code: TransactionCode.encodingError.rawValue, hash: "", message: reason))
    }

    /// Reads the result of a transaction's execution.
    static func result(_ value: JSONValue) throws(JSONError) -> TransactionResult {
        var members = try value.members()
        return TransactionResult(
            code: try members.value("code").integer(), gas: try members.value("gas").integer(),
            log: try members.optional("log")?.string() ?? "")
    }
}

extension JSONWriter {
    /// Writes a transaction.
    public mutating func transaction(_ transaction: Transaction) {
        object {
            if !transaction.signature.isEmpty {
                $0.object("signature") {
                    $0.member("sig", base64: transaction.signature)
                    $0.member("type", text: transaction.signatureType.description)
                }
            }
            let body = transaction.body
            $0.object("body") {
                $0.member("desc", text: body.description)
                $0.member("payload", base64: body.payload)
                $0.member("type", text: body.payloadType)
                $0.member("fee", text: (body.fee ?? .zero).description)
                $0.member("nonce", integer: body.nonce)
                $0.member("chain_id", text: body.chainID)
            }
            $0.member("serialization", text: transaction.serialization.rawValue)
            $0.member("sender", hex: transaction.sender)
        }
    }

    /// Writes the result of a transaction's execution.
    public mutating func result(_ result: TransactionResult) {
        object {
            $0.member("code", integer: result.code)
            $0.member("gas", integer: result.gas)
            if !result.log.isEmpty { $0.member("log", text: result.log) }
        }
    }

    /// Writes `user.tx_query` or, with the transaction's index in its block, `chain.tx`.
    mutating func transaction(
        _ transaction: Transaction, _ hashName: StaticString, _ known: KnownTransaction, index: Int? = nil
    ) {
        object {
            $0.member(hashName, hex: transaction.id)
            // -1 while unconfirmed.
            $0.member("height", integer: known.height)
            if let index { $0.member("index", integer: index) }
            $0.name("tx")
            $0.transaction(transaction)
            guard let result = known.result else { return }
            $0.name("tx_result")
            $0.result(result)
        }
    }
}
