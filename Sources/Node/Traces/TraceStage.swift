/// The stages that blocks or transactions pass through on a node, in the usual order. At most 16.
public protocol TraceStage: CaseIterable, Hashable, RawRepresentable, Sendable
where RawValue == Int, AllCases == [Self] {
    /// The name in JSON, metrics and waterfalls.
    var name: StaticString { get }
    /// The stages of which the latest one begins the time that this stage takes. Empty for a first stage.
    var predecessors: [Self] { get }
}

extension TraceStage {
    /// Reads a name; nil if no stage has it.
    public init?(name: some Collection<UInt8>) {
        let found = Self.allCases.first { stage in
            stage.name.withUTF8Buffer { $0.elementsEqual(name) }
        }
        guard let found else { return nil }
        self = found
    }
}

/// A stage of a block (docs/operate/tracing.md). A role passes through some of them.
public enum BlockStage: Int, TraceStage {
    /// The leader begins to take transactions for the block.
    case building
    /// The leader begins to send the signed block's proposal.
    case proposed
    /// A peer's announcement of the block, proposed or committed, has arrived.
    case header
    /// The whole block has arrived.
    case body
    /// Transactions, Merkle root and signatures are checked.
    case verified
    /// The application has executed the block.
    case executed
    /// This node's vote is on disk.
    case voteDurable
    /// The vote is handed to the connections to the leader.
    case ackSent
    /// The votes of a quorum are known: counted by the leader, proven by an announcement elsewhere.
    case quorum
    /// The block is in the log, on disk.
    case logged
    /// The application has committed the block.
    case committed
    /// The committed block is handed to the connections to the peers that lack it.
    case announced

    /// See `TraceStage`.
    public var name: StaticString {
        switch self {
        case .building: "building"
        case .proposed: "proposed"
        case .header: "header_received"
        case .body: "body_received"
        case .verified: "verified"
        case .executed: "executed"
        case .voteDurable: "vote_durable"
        case .ackSent: "ack_sent"
        case .quorum: "quorum"
        case .logged: "logged"
        case .committed: "committed"
        case .announced: "announced"
        }
    }

    /// See `TraceStage`.
    public var predecessors: [BlockStage] {
        switch self {
        case .building, .header: []
        case .proposed: [.building]
        // A committed block is requested once its votes are checked.
        case .body: [.header, .quorum]
        case .verified: [.body]
        case .executed: [.verified, .proposed]
        case .voteDurable: [.executed]
        case .ackSent: [.voteDurable]
        case .quorum: [.header, .voteDurable, .ackSent]
        case .logged: [.executed, .quorum]
        case .committed: [.logged]
        case .announced: [.committed]
        }
    }
}

/// A stage of a transaction (docs/operate/tracing.md). A node passes through some of them.
public enum TransactionStage: Int, TraceStage {
    /// A client of this node has sent it.
    case submitted
    /// A peer has sent it.
    case fetched
    /// The mempool has accepted it.
    case checked
    /// This node begins to announce it to peers.
    case announced
    /// It is in a proposed block, which this node made or has verified.
    case proposed
    /// Its block is committed here.
    case committed

    /// See `TraceStage`.
    public var name: StaticString {
        switch self {
        case .submitted: "submitted"
        case .fetched: "fetched"
        case .checked: "checked"
        case .announced: "announced"
        case .proposed: "proposed"
        case .committed: "committed"
        }
    }

    /// See `TraceStage`.
    public var predecessors: [TransactionStage] {
        switch self {
        case .submitted, .fetched: []
        case .checked: [.submitted, .fetched]
        case .announced, .proposed: [.checked]
        case .committed: [.proposed, .checked]
        }
    }
}
