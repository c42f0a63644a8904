import Bytes
import Crypto
import Multiformats
import Reactor

/// What the transaction protocols need from the node.
@ReactorActor
public protocol TransactionSource: AnyObject {
    /// Those of `ids` that are to be fetched, in order: they do not wait, were not mined, are not being checked, and were
    /// not refused lately.
    func wanted(_ ids: [Hash]) async -> [Hash]
    /// The bytes of transactions to be served, nil for unknown ones: of `ids` the first, at least one, until `limit` bytes are
    /// reached.
    func transactions(_ ids: [Hash], bytes limit: Int) async -> [SharedBytes?]
    /// At most `most` waiting transactions that a peer has not been told of, in order. `isFirst` begins again with the first;
    /// `isLast` says that no others are left.
    func backlog(for peer: PeerID, isFirst: Bool, most: Int) async -> (ids: [Hash], isLast: Bool)
    /// How long an announcement may wait for others now, because no block could contain its transaction any sooner.
    var patience: Duration { get }
    /// Takes transactions that a peer sent on request: their hashes are right, nothing else is checked. Returns when the node
    /// is ready for more; false ends the exchange with the peer.
    func receive(_ transactions: [(id: Hash, bytes: SharedBytes)], from peer: PeerID) async -> Bool
    /// How many more transactions are worth fetching, apart from those that are on their way: 0 while there is no room.
    var room: Int { get }
    /// Bytes of the longest transaction that could be kept now. Readers take no longer ones.
    var transactionLimit: Int { get }
    /// Whether a peer is not a stranger: a validator, one that the operator has named, or one that this node has dialled.
    func trusts(_ peer: PeerID) -> Bool
    /// Whether a peer is the leader, which passes no other node's transactions on.
    func follows(_ peer: PeerID) -> Bool
}

extension TransactionSource {
    /// The bytes of a transaction to be served; nil for an unknown one.
    func transaction(_ id: Hash) async -> SharedBytes? { await transactions([id], bytes: 1).first ?? nil }
}
