import Crypto
import Reactor

/// `/ipfs/id/1.0.0`: the responder tells about itself and closes the stream.
///
/// libp2p identify specification.
@ReactorActor
public struct Identify: StreamProtocol {
    /// The protocol's only ID.
    public nonisolated static let ids: [ProtocolID] = [.identify]
    /// How long one exchange may take.
    public static let timeout = Duration.seconds(10)

    private unowned let host: Host

    init(_ host: Host) { self.host = host }

    /// Tells the peer about this host.
    public func serve(_ stream: Stream) async throws {
        try await Self.send(host.identifyInfo(for: stream.connection), on: stream)
    }

    /// Sends `info` and closes the stream: the responder's side of identify and the initiator's of push.
    public static func send(_ info: IdentifyInfo, on stream: Stream) async throws(LibP2PError) {
        stream.setTimeout(timeout)
        try await stream.write(info.encoded)
        stream.close()
    }

    /// Reads what the peer tells and closes the stream: the initiator's side of identify and the responder's of push. Throws
    /// `tooLarge` beyond `IdentifyInfo.maximumSize`.
    static func read(on stream: Stream) async throws(LibP2PError) -> [UInt8] {
        stream.setTimeout(timeout)
        do throws(LibP2PError) {
            let message = try await stream.readToEnd(limit: IdentifyInfo.maximumSize)
            stream.close()
            return message
        } catch {
            stream.reset()
            throw error
        }
    }

    /// Decodes a message of the peer that has proved `key`.
    ///
    /// Throws `malformed` if it is not a message, or names another key.
    static func decode(_ message: [UInt8], of key: PublicKey) throws(LibP2PError) -> IdentifyInfo {
        let info = try IdentifyInfo(decoding: message)
        if let named = info.publicKey, named != key {
            throw .malformed("identify message: it names another key than the peer's")
        }
        return info
    }
}

extension ProtocolID {
    /// Tells a peer what the host is, where it listens and what it speaks.
    public static let identify: ProtocolID = "/ipfs/id/1.0.0"
}
