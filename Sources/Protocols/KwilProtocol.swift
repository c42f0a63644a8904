import Crypto
import LibP2P

/// The IDs of the stream protocols (docs/wire.md, sections 7 and 8).
public enum KwilProtocol {
    /// Peer exchange.
    public static let discovery: ProtocolID = "/kwil/discovery/1.0.0"
    /// A transaction by its ID.
    public static let transaction: ProtocolID = "/kwil/tx/1.0.0"
    /// Announcement of one transaction.
    public static let transactionAnnouncement: ProtocolID = "/kwil/txann/1.0.0"
    /// A block by its hash.
    public static let block: ProtocolID = "/kwil/blk/1.0.0"
    /// A block by its height.
    public static let blockHeight: ProtocolID = "/kwil/blkheight/1.0.0"
    /// A block by its height, the answer always naming the best height.
    public static let blockHeightBest: ProtocolID = "/kwil/blkheight/1.1.0"
    /// Announcement of a committed block.
    public static let blockAnnouncement: ProtocolID = "/kwil/blkann/1.0.0"
    /// Announcement of a proposed block.
    public static let blockProposal: ProtocolID = "/kwil/blkprop/1.0.0"
    /// A validator's answer to a proposal.
    public static let acknowledgement: ProtocolID = "/kwil/blkack/1.0.0"
    /// Marks a crawler: it is served, but not kept as a peer.
    public static let crawler: ProtocolID = "/kwil/crawler/1.0.0"
    /// Batched announcement of transactions on a stream that stays open (docs/protocols.md).
    public static let transactionBatches: ProtocolID = "/apus/txann/1.0.0"
    /// Consecutive committed blocks on one stream (docs/wire.md, section 8).
    public static let blockRange: ProtocolID = "/apus/blkrange/1.0.0"
    /// The consensus status of a height.
    public static let consensusStatus: ProtocolID = "/apus/constatus/1.0.0"
    /// The block proposed now.
    public static let proposedBlock: ProtocolID = "/apus/proposed/1.0.0"
    /// A validator's word that it has committed.
    public static let commitDone: ProtocolID = "/apus/commitack/1.0.0"

    /// Marks a node without a mempool: it is told of no transactions (docs/protocols.md).
    public static let blocksOnly: ProtocolID = "/apus/blocksonly/1.0.0"

    /// What a node of this chain advertises to say so.
    public static func chain(_ chainID: String) -> ProtocolID { ProtocolID("/kwil/chain/1.0.0/\(chainID)") }

    /// What a node of this genesis advertises to say so: two chains may have one ID (docs/wire.md, section 8).
    public static func genesis(_ hash: Hash) -> ProtocolID { ProtocolID("\(genesisPrefix)\(hash)") }

    /// What a process advertises to say which one it is: a key is for one at a time (docs/consensus.md).
    public static func process(_ id: ProcessID) -> ProtocolID { ProtocolID("\(processPrefix)\(id)") }

    fileprivate static let genesisPrefix = "/apus/genesis/1.0.0/"
    fileprivate static let processPrefix = "/apus/process/1.0.0/"
}

/// What a peer's identify says about how to speak with it.
public struct PeerTraits: Hashable, Sendable {
    /// The chain that the peer advertises; nil when it advertises none.
    public let chainID: String?
    /// The hash of the genesis that the peer advertises; nil when it advertises none, as kwil-db.
    public let genesis: Hash?
    /// The process that the peer says it is; nil when it says nothing about that, as kwil-db.
    public let process: ProcessID?
    /// Whether it speaks any of Apus' own protocols.
    public let isApus: Bool
    /// Whether it marks itself as a crawler.
    public let isCrawler: Bool
    /// Whether it marks itself as a node without a mempool.
    public let isBlocksOnly: Bool

    /// From the protocols that the peer advertises.
    public init(_ protocols: [ProtocolID]) {
        let prefix = "/kwil/chain/1.0.0/"
        let chain = protocols.first { $0.rawValue.hasPrefix(prefix) }
        chainID = chain.map { String($0.rawValue.dropFirst(prefix.count)) }
        genesis =
            protocols.lazy.filter { $0.rawValue.hasPrefix(KwilProtocol.genesisPrefix) }.compactMap {
                Hash(hex: String($0.rawValue.dropFirst(KwilProtocol.genesisPrefix.count)))
            }.first
        process =
            protocols.lazy.filter { $0.rawValue.hasPrefix(KwilProtocol.processPrefix) }.compactMap {
                ProcessID(hex: $0.rawValue.dropFirst(KwilProtocol.processPrefix.count))
            }.first
        isApus = protocols.contains { $0.rawValue.hasPrefix("/apus/") }
        isCrawler = protocols.contains(KwilProtocol.crawler)
        isBlocksOnly = protocols.contains(KwilProtocol.blocksOnly)
    }

    /// The dialect for asking and announcing transactions: binary towards kwil-db, else text.
    public var transactionDialect: Dialect { chainID != nil && !isApus ? .binary : .text }
}

/// The two ways in which a message may be written (docs/wire.md, section 7).
public enum Dialect: Sendable {
    /// The requirements document's and its demonstration's.
    case text
    /// kwil-db's.
    case binary

    /// "No data" as the only byte of an answer.
    var noData: [UInt8] { self == .text ? [UInt8(ascii: "0")] : [0] }
}
