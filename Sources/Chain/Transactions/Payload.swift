import Bytes
import Crypto

/// A transaction's decoded payload (docs/wire.md, section 3).
public enum Payload: Hashable, Sendable {
    /// Runs an SQL statement with parameters.
    case rawStatement(RawStatement)
    /// Moves an amount from the sender's account to another.
    case transfer(to: AccountID, amount: Amount?)
    /// Calls an action.
    case execute(ActionCall)
    /// Requests that the sender become a validator of this power.
    case validatorJoin(power: UInt64)
    /// Removes the sender from the validators.
    case validatorLeave
    /// Votes, as a validator, for a candidate.
    case validatorApprove(PublicKey)
    /// Votes, as a validator, to remove another.
    case validatorRemove(PublicKey)
    /// A payload that this node relays without reading it.
    case other(type: String, bytes: SharedBytes)

    /// Decodes a transaction's payload by its type. Rejects trailing bytes.
    public init(of body: TransactionBody) throws(ChainError) {
        var reader = ByteReader(body.payload)
        do throws(BytesError) {
            try self.init(type: body.payloadType, from: &reader)
            try reader.finish()
        } catch {
            throw .malformed("\(body.payloadType) payload", error)
        }
    }

    private init(type: String, from reader: inout ByteReader) throws(BytesError) {
        switch type {
        case "raw_statement":
            self = .rawStatement(try RawStatement(from: &reader))
        case "transfer":
            try reader.version()
            let to = try AccountID(whole: reader.bytes32())
            self = .transfer(to: to, amount: try reader.bigint())
        case "execute":
            self = .execute(try ActionCall(from: &reader))
        case "validator_join":
            try reader.version()
            self = .validatorJoin(power: try reader.u64())
        case "validator_leave":
            try reader.version()
            self = .validatorLeave
        case "validator_approve":
            self = .validatorApprove(try Self.key(from: &reader))
        case "validator_remove":
            self = .validatorRemove(try Self.key(from: &reader))
        default:
            self = .other(type: type, bytes: try reader.bytes(reader.remaining))
        }
    }

    private static func key(from reader: inout ByteReader) throws(BytesError) -> PublicKey {
        try reader.version()
        let bytes = try reader.bytes32(limit: ChainLimits.identifierBytes).array
        return try decodedKey(reader.keyType(), bytes)
    }

    /// The payload type on the wire.
    public var type: String {
        switch self {
        case .rawStatement: "raw_statement"
        case .transfer: "transfer"
        case .execute: "execute"
        case .validatorJoin: "validator_join"
        case .validatorLeave: "validator_leave"
        case .validatorApprove: "validator_approve"
        case .validatorRemove: "validator_remove"
        case .other(let type, _): type
        }
    }

    /// The payload's bytes.
    public var bytes: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .rawStatement(let statement):
            statement.write(to: &writer)
        case .transfer(let account, let amount):
            writer.put(u16: 0)
            writer.put(bytes32: account.bytes)
            writer.put(bigint: amount)
        case .execute(let call):
            call.write(to: &writer)
        case .validatorJoin(let power):
            writer.put(u16: 0)
            writer.put(u64: power)
        case .validatorLeave:
            writer.put(u16: 0)
        case .validatorApprove(let key), .validatorRemove(let key):
            writer.put(u16: 0)
            writer.put(bytes32: key.bytes)
            writer.put(u32: key.type.rawValue)
        case .other(_, let bytes):
            writer.put(bytes: bytes)
        }
        return writer.bytes
    }
}
