import Crypto
import LibP2P

/// What the protocols that a peer advertises say about how to speak with it.
public struct PeerTraits: Hashable, Sendable {
    /// The chain that the peer advertises; nil when it advertises none.
    public let chainID: String?
    /// The hash of the genesis that the peer advertises; nil when it advertises none, as kwil-db does.
    public let genesis: Hash?
    /// The process that the peer advertises; nil when it advertises none, as kwil-db does.
    public let process: ProcessID?
    /// Whether it speaks any of Apus' own protocols.
    public let isApus: Bool
    /// Whether it marks itself as a crawler.
    public let isCrawler: Bool
    /// Whether it marks itself as a node without a mempool.
    public let isBlocksOnly: Bool

    /// The traits of a peer that advertises these protocols.
    public init(_ protocols: [ProtocolID]) {
        func values(_ prefix: String) -> [Substring] {
            protocols.map(\.rawValue).filter { $0.hasPrefix(prefix) }.map { $0.dropFirst(prefix.count) }
        }
        chainID = values(KwilProtocol.chainPrefix).first.map(String.init)
        genesis = values(KwilProtocol.genesisPrefix).lazy.compactMap { Hash(hex: String($0)) }.first
        process = values(KwilProtocol.processPrefix).lazy.compactMap { ProcessID(hex: $0) }.first
        isApus = protocols.contains { $0.rawValue.hasPrefix("/apus/") }
        isCrawler = protocols.contains(KwilProtocol.crawler)
        isBlocksOnly = protocols.contains(KwilProtocol.blocksOnly)
    }

    /// The dialect for requesting and announcing transactions: binary towards kwil-db, else text.
    public var transactionDialect: Dialect { chainID != nil && !isApus ? .binary : .text }
}

/// The two ways to write a message (docs/wire.md, section 7).
public enum Dialect: Sendable {
    /// That of the requirements document and its demonstration.
    case text
    /// That of kwil-db.
    case binary

    /// "No data" as the only byte of an answer.
    var noData: [UInt8] { self == .text ? [UInt8(ascii: "0")] : [0] }
}
