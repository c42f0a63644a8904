import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// A block that a peer has announced and sends on request, on the announcement's stream.
@ReactorActor
public struct BlockOffer {
    /// The announcement's stream.
    public let stream: Stream
    let hash: Hash
    let height: Int64
    /// The hash of the previous block, if the announcement names it.
    var previousHash: Hash?

    /// The peer that announced the block.
    public var peer: PeerID { stream.remotePeer }

    /// Requests the block and reads it, at most `limit` bytes, to the end of the stream. The block has the announced hash and
    /// height.
    public func take(limit: Int) async throws(ProtocolsError) -> Block {
        do {
            stream.setTimeout(ProtocolLimits.receiveBlock)
            try await stream.write(Stream.get)
            let block = try Block(decoding: try await stream.readRest(limit: limit))
            try block.check(hash, at: height)
            guard block.header.previousHash == previousHash ?? block.header.previousHash else {
                throw ProtocolsError.wrongContent("a block with another previous block")
            }
            stream.close()
            return block
        } catch {
            throw ProtocolsError(error)
        }
    }

    /// Requests the block only to see whether the peer sends it. Returns whether the first byte came, and reads no further.
    public func test() async throws(ProtocolsError) -> Bool {
        defer { stream.reset() }
        do throws(LibP2PError) {
            stream.setTimeout(ProtocolLimits.firstByte)
            try await stream.write(Stream.get)
            return try await !stream.read(upTo: 1).isEmpty
        } catch {
            switch error {
            case .timedOut, .streamReset: return false
            default: throw .stream(error)
            }
        }
    }
}
