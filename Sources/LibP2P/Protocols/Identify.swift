import Crypto
import Reactor

/// `/ipfs/id/1.0.0`: the responder sends its information and closes the stream.
///
/// libp2p identify specification.
@ReactorActor
public struct Identify: StreamProtocol {
    /// The protocol's only ID.
    public nonisolated static let ids: [ProtocolID] = [.identify]
    /// The time limit of an exchange.
    public static let timeout = Duration.seconds(10)

    private unowned let host: Host

    init(_ host: Host) { self.host = host }

    /// Sends this host's information to the peer.
    public func serve(_ stream: Stream) async throws {
        try await Self.send(host.identifyInfo(for: stream.connection), on: stream)
    }

    /// Sends `info` and closes the stream: the responder's side of identify and the initiator's side of push.
    public static func send(_ info: IdentifyInfo, on stream: Stream) async throws(LibP2PError) {
        stream.setTimeout(timeout)
        try await stream.write(info.encoded)
        stream.close()
    }

    /// Reads the peer's message and closes the stream: the initiator's side of identify and the responder's side of
    /// push. Throws `tooLarge` beyond `IdentifyInfo.maximumSize`.
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
    /// Throws `malformed` if it is invalid or contains another key.
    static func decode(_ message: [UInt8], of key: PublicKey) throws(LibP2PError) -> IdentifyInfo {
        let info = try IdentifyInfo(decoding: message)
        if let named = info.publicKey, named != key {
            throw .malformed("identify message: its key is not the peer's")
        }
        return info
    }
}

extension ProtocolID {
    /// Sends the host's key, addresses and protocols to the peer that opens the stream.
    public static let identify: ProtocolID = "/ipfs/id/1.0.0"
}
