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
    static func read(_ value: JSONValue) throws -> Transaction {
        var members = try value.members()
        var signature: (bytes: [UInt8], type: String) = ([], "")
        if let value = members.optional("signature") {
            var inner = try value.members()
            signature = (try inner.value("sig").base64(), try inner.value("type").string())
        }
        var body = try members.value("body").members()
        let description = try body.optional("desc")?.string() ?? ""
        let payload = try body.value("payload").base64()
        let type = try body.value("type").string()
        let feeText = try body.optional("fee")?.string() ?? ""
        let nonce = try body.value("nonce").integer(UInt64.self)
        let chainID = try body.value("chain_id").string()
        let serializationText = try members.value("serialization").string()
        let senderText = try members.value("sender").text()
        guard let fee = feeText.isEmpty ? .zero : Amount(feeText) else {
            throw wrong("body.fee must be a decimal number")
        }
        guard let serialization = Serialization(rawValue: serializationText) else {
            throw wrong("serialization must be concat or direct")
        }
        guard let sender = try? Hex.decode(utf8: senderText) else {
            throw wrong("sender must be hexadecimal")
        }
        let content = TransactionBody(
            description: description, payload: SharedBytes(payload), payloadType: type, fee: fee,
            nonce: nonce, chainID: chainID)
        do {
            return try Transaction(
                content, serialization: serialization, sender: sender, signature: signature.bytes,
                signatureType: SignatureType(signature.type))
        } catch {
            throw wrong("\(error)")
        }
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
    mutating func transaction(_ transaction: Transaction) {
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
    mutating func result(_ result: TransactionResult) {
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
