import Bytes
import Chain
import Consensus
import Crypto
import Storage

/// The chain's state just before a block of the log, as the file `STATE` keeps it, so that a start need not follow the log
/// from its first block (docs/storage.md, "State"). A codec, and the check that the log agrees.
///
/// It is the state before a block, not after it, because that block's header names everything in it by hashes.
struct KeptState: Sendable {
    /// The chain: the hash of its genesis.
    let genesis: Hash
    /// The state on which the block was committed.
    let state: ChainState
    /// The block's hash.
    let block: Hash
    /// The number of transactions in the blocks before it. A figure for operators: nothing depends on it.
    let transactions: UInt64

    /// The block's height.
    var height: Int64 { state.height &+ 1 }

    /// Why the file is not used.
    enum Doubt: Error, Equatable, CustomStringConvertible {
        /// Its bytes are no state.
        case malformed(String)
        /// It belongs to another chain.
        case otherGenesis
        /// The log lacks a block that it names, or has another one there.
        case notInLog(height: Int64)
        /// The log's block at this height contradicts it.
        case contradicted(height: Int64, String)

        /// One line.
        var description: String {
            switch self {
            case .malformed(let why): "it cannot be decoded: \(why)"
            case .otherGenesis: "it belongs to another chain"
            case .notInLog(let height): "the block log has another block, or none, at height \(height)"
            case .contradicted(let height, let what): "block \(height) names another \(what)"
            }
        }
    }

    init(genesis: Hash, state: ChainState, block: Hash, transactions: UInt64) {
        self.genesis = genesis
        self.state = state
        self.block = block
        self.transactions = transactions
    }

    /// Returns the state that a store keeps, checked against its log; nil if it keeps none. Throws a `Doubt`, or a
    /// `StorageError` if a file cannot be read.
    static func read(from store: BlockStore, of genesis: Genesis) throws -> KeptState? {
        guard let bytes = try store.stateFile.read() else { return nil }
        let kept: KeptState
        do throws(BytesError) {
            var reader = ByteReader(bytes)
            kept = try KeptState(from: &reader)
            try reader.finish()
        } catch {
            throw Doubt.malformed("\(error)")
        }
        try kept.check(against: store, genesis)
        return kept
    }

    // MARK: Check

    /// Throws unless the log proves the state: the header of the block after it names its every part.
    private func check(against store: BlockStore, _ genesis: Genesis) throws {
        guard self.genesis == genesis.hash else { throw Doubt.otherGenesis }
        guard state.height >= genesis.initialHeight, state.height < Int64.max,
            let stored = try store.block(at: height), stored.hash == block
        else { throw Doubt.notInLog(height: height) }
        let header = try Block(decoding: stored.block).header
        func agree(_ condition: Bool, _ what: String) throws(Doubt) {
            guard condition else { throw .contradicted(height: height, what) }
        }
        try agree(header.previousHash == state.hash, "previous block")
        try agree(header.previousAppHash == state.appHash, "app hash")
        try agree(header.validatorSetHash == state.validatorSetHash, "validator set")
        try agree(header.networkParametersHash == state.parametersHash, "set of parameters")
        try checkTime(against: store, genesis)
        try checkLeader(against: store, genesis)
    }

    private func checkTime(against store: BlockStore, _ genesis: Genesis) throws {
        guard state.height > genesis.initialHeight else {
            guard state.timestamp == 0 else { throw Doubt.contradicted(height: height, "time") }
            return
        }
        guard let previous = try store.block(at: state.height), previous.hash == state.hash else {
            throw Doubt.notInLog(height: state.height)
        }
        guard try Block(decoding: previous.block).header.timestamp == state.timestamp else {
            throw Doubt.contradicted(height: state.height, "time")
        }
    }

    /// Throws unless the block at `leaderSince` made the leader the leader, if the log still has it.
    private func checkLeader(against store: BlockStore, _ genesis: Genesis) throws {
        let since = state.leaderSince
        guard since != genesis.initialHeight else { return }
        guard since > genesis.initialHeight, since <= state.height else {
            throw Doubt.notInLog(height: since)
        }
        if let first = store.firstHeight, since < first { return }
        guard let stored = try store.block(at: since) else { throw Doubt.notInLog(height: since) }
        let promoted = try Block(decoding: stored.block).header.newLeader
        let updates = try CommitInfo(decoding: stored.commitInfo).parameterUpdates
        guard let leader = state.leader, leader == promoted ?? updates.leader else {
            throw Doubt.contradicted(height: since, "leader")
        }
    }
}

/// docs/storage.md, "State".
extension KeptState {
    private init(from reader: inout ByteReader) throws(BytesError) {
        genesis = try reader.hash()
        block = try reader.hash()
        transactions = try reader.u64()
        let (height, leaderSince, timestamp) = (try reader.i64(), try reader.i64(), try reader.u64())
        let (hash, appHash) = (try reader.hash(), try reader.hash())
        let updates = try ParameterUpdates(from: &reader)
        var parameters = NetworkParameters(leader: nil)
        do throws(ChainError) {
            try parameters.apply(updates)
        } catch {
            throw .invalid("parameters of a chain")
        }
        let validators = try reader.list(reader.u32(), least: KeptState.leastValidator) {
            reader throws(BytesError) in try Validator(from: &reader)
        }
        state = ChainState(
            height: height, hash: hash, appHash: appHash, timestamp: timestamp, parameters: parameters,
            validators: ValidatorSet(validators), leaderSince: leaderSince)
    }

    /// The minimum size of a validator: version, length of the account, power.
    private static let leastValidator = 14

    /// The content of the file.
    var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 512 + 64 * state.validators.count)
        writer.put(bytes: genesis)
        writer.put(bytes: block)
        writer.put(u64: transactions)
        writer.put(i64: state.height)
        writer.put(i64: state.leaderSince)
        writer.put(u64: state.timestamp)
        writer.put(bytes: state.hash)
        writer.put(bytes: state.appHash)
        writer.put(bytes: ParameterUpdates(all: state.parameters).bytes)
        writer.put(u32: UInt32(clamping: state.validators.count))
        for validator in state.validators { writer.put(bytes: validator.bytes) }
        return writer.bytes
    }
}

extension ParameterUpdates {
    /// Creates updates that turn any parameters into these.
    fileprivate init(all parameters: NetworkParameters) {
        self.init()
        disabledGasCosts = parameters.disabledGasCosts
        joinExpiry = parameters.joinExpiry
        leader = parameters.leader
        maaActivationHeight = parameters.maaActivationHeight
        maxBlockSize = parameters.maxBlockSize
        maxVotesPerTransaction = parameters.maxVotesPerTransaction
        migrationStatus = parameters.migrationStatus
    }
}
