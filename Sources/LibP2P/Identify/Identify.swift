import Reactor

/// The dialogues of `/ipfs/id/1.0.0` and `/ipfs/id/push/1.0.0`.
///
/// libp2p identify specification: whoever is asked (or pushes) sends its message and closes the stream.
@ReactorActor
public enum Identify {
    /// How long one exchange may take.
    public static let timeout = Duration.seconds(10)

    /// Tells what `info` says; the responder's side of identify and the initiator's of push.
    public static func send(_ info: IdentifyInfo, on stream: Stream) async throws(LibP2PError) {
        stream.setTimeout(timeout)
        try await stream.write(info.encoded)
        stream.close()
    }

    /// Takes what the peer tells; the initiator's side of identify and the responder's of push.
    ///
    /// Throws `malformed` if the message is not one, or names another key than the one the peer has proved.
    public static func receive(on stream: Stream) async throws(LibP2PError) -> IdentifyInfo {
        stream.setTimeout(timeout)
        do throws(LibP2PError) {
            let info = try IdentifyInfo(decoding: try await stream.readToEnd(limit: IdentifyInfo.maximumSize))
            if let key = info.publicKey, key != stream.remotePublicKey {
                throw LibP2PError.malformed("identify message: it names another key than the peer's")
            }
            stream.close()
            return info
        } catch {
            stream.reset()
            throw error
        }
    }
}
