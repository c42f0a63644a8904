import Bytes
import Crypto

/// The reason bytes, a genesis file or a signature of the chain were rejected.
public enum ChainError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes are not a value of this kind ("transaction", "block", …).
    case malformed(_ kind: String, BytesError)
    /// A transaction's or block's signature does not verify.
    case invalidSignature
    /// The transaction carries no signature.
    case unsigned
    /// The transaction's signature type is not listed in docs/wire.md.
    case unknownSignatureType(String)
    /// The transaction is for another chain.
    case wrongChain(String)
    /// The transactions of the block with this hash do not match its header's Merkle root.
    case wrongTransactions(Hash)
    /// A peer sent this transaction with a compact block, which has another short ID in its place.
    case notAsListed(Hash)
    /// A value exceeds a limit of `ChainLimits`.
    case tooLarge(_ kind: String, count: Int, limit: Int)
    /// The genesis file is invalid; file, field and reason in one line.
    case genesis(String)
    /// Only secp256k1 keys can make Ethereum signatures.
    case notEthereum
    /// The updates would leave a network without validators or with impossible parameters.
    case invalidUpdate(String)

    /// One line for logs and replies.
    public var description: String {
        switch self {
        case .malformed(let kind, let error): "malformed \(kind): \(error)"
        case .invalidSignature: "invalid signature"
        case .unsigned: "no signature"
        case .unknownSignatureType(let type): "unknown signature type \(RawText(type).quoted())"
        case .wrongChain(let chain): "wrong chain \(RawText(chain).quoted())"
        case .wrongTransactions(let hash): "the transactions of block \(hash) do not match its header"
        case .notAsListed(let id): "the compact block has another short ID in the place of transaction \(id)"
        case .tooLarge(let kind, let count, let limit):
            "\(kind) of \(count) bytes exceeds the limit of \(limit)"
        case .genesis(let reason): reason
        case .notEthereum: "only secp256k1 keys can make Ethereum signatures"
        case .invalidUpdate(let reason): "invalid update: \(reason)"
        }
    }
}
