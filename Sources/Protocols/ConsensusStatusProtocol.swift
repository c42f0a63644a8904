import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// What the protocols by which nodes ask each other about consensus need from the node.
@ReactorActor
public protocol ConsensusStatusSource: AnyObject {
    /// What this node knows; with the commit of `height` if that is its newest block's.
    func status(of height: Int64) async throws(ProtocolsError) -> ConsensusStatus
    /// The bytes of a block that is proposed, or that this node voted for, above its newest one.
    func proposedBlock(height: Int64, hash: Hash) async -> SharedBytes?
    /// A validator says that it has committed a block; nothing of it checked. Throws if the validator did not sign it.
    func committed(_ message: CommitDone, from peer: PeerID) async throws(ProtocolsError)
}

/// `/apus/constatus/1.0.0`: the consensus status of a height (docs/wire.md, section 8).
@ReactorActor
public struct ConsensusStatusProtocol {
    private let source: any ConsensusStatusSource

    /// Answers from `source`.
    public init(_ source: any ConsensusStatusSource) { self.source = source }

    /// Answers one question.
    public func serve(_ stream: Stream) async {
        await Protocols.serve(stream) {
            let height = try await stream.readInt64()
            guard height >= 0 else { throw ProtocolsError.malformed("height") }
            try await stream.write(try await source.status(of: height).bytes)
        }
    }

    /// Asks a peer; no signature in the answer is checked.
    public static func request(
        _ height: Int64, from peer: PeerID, on host: Host, sizes: BlockSizes
    ) async throws(ProtocolsError) -> ConsensusStatus {
        try await exchange(host, peer, [KwilProtocol.consensusStatus]) { stream in
            var request = ByteWriter()
            request.put(i64: height)
            try await stream.write(request.bytes)
            stream.closeWrite()
            return try ConsensusStatus(
                decoding: try await stream.readRest(limit: ConsensusStatus.maxBytes(sizes)))
        }
    }
}

/// `/apus/proposed/1.0.0`: the block that is proposed now, outside its announcement (docs/wire.md, section 8).
@ReactorActor
public struct ProposedBlockProtocol {
    private let source: any ConsensusStatusSource

    /// Serves from `source`.
    public init(_ source: any ConsensusStatusSource) { self.source = source }

    /// Answers one request.
    public func serve(_ stream: Stream) async {
        await Protocols.serve(stream) {
            let height = try await stream.readInt64()
            let hash = try await stream.readHash()
            guard let block = await source.proposedBlock(height: height, hash: hash) else {
                return try await stream.write([0])
            }
            stream.setTimeout(ProtocolLimits.sendBlock)
            try await stream.write([1])
            try await stream.write(block)
        }
    }

    /// Asks a peer for a proposed block; nil when it has none. Its hash and height are right; its signature is not
    /// checked. Throws `tooLarge` once more than a block of `sizes` has come.
    public static func request(
        height: Int64, hash: Hash, from peer: PeerID, on host: Host, sizes: BlockSizes
    ) async throws(ProtocolsError) -> Block? {
        try await exchange(host, peer, [KwilProtocol.proposedBlock]) { stream in
            var request = ByteWriter()
            request.put(i64: height)
            request.put(bytes: hash)
            try await stream.write(request.bytes)
            stream.closeWrite()
            stream.setTimeout(ProtocolLimits.receiveBlock)
            switch try await stream.readExactly(1) {
            case [0]: return nil
            case [1]:
                let block = try Block(decoding: try await stream.readRest(limit: sizes.block))
                guard block.hash == hash, block.height == height else {
                    throw ProtocolsError.wrongContent("another block")
                }
                return block
            default: throw ProtocolsError.malformed("answer for a proposed block")
            }
        }
    }
}

/// `/apus/commitack/1.0.0`: a validator tells the leader, unasked, that it has committed (docs/wire.md, section 8).
@ReactorActor
public struct CommitDoneProtocol {
    private let source: any ConsensusStatusSource

    /// Hands to `source`.
    public init(_ source: any ConsensusStatusSource) { self.source = source }

    /// Takes one message.
    public func serve(_ stream: Stream) async {
        await Protocols.serve(stream) {
            let bytes = try await stream.readToEnd(limit: CommitDone.maxBytes)
            try await source.committed(CommitDone(decoding: SharedBytes(bytes)), from: stream.remotePeer)
        }
    }

    /// Tells a peer, usually the leader.
    public static func send(_ message: CommitDone, to peer: PeerID, on host: Host)
        async throws(ProtocolsError)
    {
        try await exchange(host, peer, [KwilProtocol.commitDone]) { stream in
            try await stream.write(message.bytes)
            stream.closeWrite()
            // The peer's end says that it has read everything; nothing may come before it.
            guard try await stream.read(upTo: 1).isEmpty else {
                throw ProtocolsError.malformed("answer to a commit")
            }
        }
    }
}
