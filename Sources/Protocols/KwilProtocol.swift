import Crypto
import LibP2P

/// IDs that a node advertises to say what it is; no stream speaks them (docs/wire.md, sections 7 and 8).
public enum KwilProtocol {
    /// Marks a crawler: it is served, but not kept as a peer.
    public static let crawler: ProtocolID = "/kwil/crawler/1.0.0"

    /// Marks a node without a mempool: nobody announces transactions to it (docs/protocols.md).
    public static let blocksOnly: ProtocolID = "/apus/blocksonly/1.0.0"

    /// Marks a node of this chain.
    public static func chain(_ chainID: String) -> ProtocolID { ProtocolID("\(chainPrefix)\(chainID)") }

    /// Marks a node of this genesis: two chains may share an ID (docs/wire.md, section 8).
    public static func genesis(_ hash: Hash) -> ProtocolID { ProtocolID("\(genesisPrefix)\(hash)") }

    /// Marks this process: only one at a time may use a key (docs/consensus.md).
    public static func process(_ id: ProcessID) -> ProtocolID { ProtocolID("\(processPrefix)\(id)") }

    static let chainPrefix = "/kwil/chain/1.0.0/"
    static let genesisPrefix = "/apus/genesis/1.0.0/"
    static let processPrefix = "/apus/process/1.0.0/"
}
