import Bytes
import Crypto
import LibP2P
import Reactor

/// The frames of `/apus/txann/1.0.0` (docs/protocols.md).
enum TransactionFrame {
    /// The most hashes in one frame.
    static let maxHashes = 1024
    /// Bytes of content frames that are written together.
    static let contentBytes = 64 * 1024

    enum Kind: UInt8 {
        /// Announcer: I have these transactions.
        case announce = 1
        /// Listener: send me these.
        case want = 2
        /// Announcer: here is one.
        case content = 3
        /// Announcer: I have announced these, but no longer have them.
        case gone = 4
    }

    /// What a frame with this many hashes costs the reactor besides its bytes, for `Stream.spend`.
    static func work(_ hashes: Int) -> Int { 2 &* hashes &+ 16 }

    /// Writes a frame of hashes, at most `maxHashes`: kind, u16 count, hashes.
    static func encode(_ kind: Kind, _ ids: some Collection<Hash>, to writer: inout ByteWriter) {
        writer.put(u8: kind.rawValue)
        writer.put(u16: UInt16(clamping: ids.count))
        for id in ids { writer.put(bytes: id) }
    }

    /// Writes a content frame: kind, u32 length, the transaction.
    static func encode(content: SharedBytes, to writer: inout ByteWriter) {
        writer.put(u8: Kind.content.rawValue)
        writer.put(u32: UInt32(clamping: content.count))
        writer.put(bytes: content)
    }

    /// Reads the next frame's kind; nil when the peer has ended the stream between two frames.
    @ReactorActor
    static func readKind(_ stream: Stream) async throws -> Kind? {
        let byte = try await stream.read(upTo: 1)
        guard let first = byte.first else { return nil }
        guard let kind = Kind(rawValue: first) else { throw ProtocolsError.malformed("frame") }
        return kind
    }

    /// Reads the hashes of a frame whose kind has been read.
    @ReactorActor
    static func readHashes(_ stream: Stream) async throws -> [Hash] {
        var count = ByteReader(try await stream.readExactly(2))
        let number = Int(try count.u16())
        guard number > 0, number <= maxHashes else { throw ProtocolsError.malformed("number of hashes") }
        let bytes = SharedBytes(try await stream.readExactly(number * Hash.count))
        var ids: [Hash] = []
        ids.reserveCapacity(number)
        for index in 0..<number {
            ids.append(try Hash(bytes.slice(index * Hash.count..<(index + 1) * Hash.count)))
        }
        return ids
    }

    /// Reads the length of the transaction in a content frame whose kind has been read.
    @ReactorActor
    static func readLength(_ stream: Stream, limit: Int) async throws -> Int {
        var length = ByteReader(try await stream.readExactly(4))
        let count = Int(try length.u32())
        guard count > 0, count <= limit else { throw ProtocolsError.malformed("length of a transaction") }
        return count
    }
}
