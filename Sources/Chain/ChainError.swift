import Bytes
import Crypto

/// Why bytes, a genesis file or a signature of the chain were refused.
public enum ChainError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes are not a value of this kind ("transaction", "block", …).
    case malformed(_ kind: String, BytesError)
    /// A transaction's or block's signature does not verify.
    case invalidSignature
    /// The transaction carries no signature.
    case unsigned
    /// The transaction's signature type is not one of wire.md's.
    case unknownSignatureType(String)
    /// The transaction is for another chain.
    case wrongChain(String)
    /// A block, by its hash, came with transactions that do not have its header's Merkle root.
    case wrongTransactions(Hash)
    /// A value exceeds a limit of `ChainLimits`.
    case tooLarge(_ kind: String, count: Int, limit: Int)
    /// The genesis file cannot be used: file, field and reason in one line.
    case genesis(String)
    /// An amount would become negative.
    case insufficientAmount
    /// Only secp256k1 keys sign as Ethereum wallets do.
    case notEthereum
    /// Updates that would leave a network without validators or with impossible parameters.
    case invalidUpdate(String)

    /// One line for logs and replies.
    public var description: String {
        switch self {
        case .malformed(let kind, let error): "malformed \(kind): \(error)"
        case .invalidSignature: "invalid signature"
        case .unsigned: "no signature"
        case .unknownSignatureType(let type): "unknown signature type \(RawText(type).quoted())"
        case .wrongChain(let chain): "wrong chain \(RawText(chain).quoted())"
        case .wrongTransactions(let hash): "block \(hash) came with other transactions than its header's"
        case .tooLarge(let kind, let count, let limit): "\(kind) of \(count) bytes exceeds \(limit)"
        case .genesis(let reason): reason
        case .insufficientAmount: "insufficient amount"
        case .notEthereum: "only secp256k1 keys make Ethereum signatures"
        case .invalidUpdate(let reason): "invalid update: \(reason)"
        }
    }
}
