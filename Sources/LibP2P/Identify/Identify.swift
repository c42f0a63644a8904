import Crypto
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

    /// Takes the bytes of what the peer tells, and closes the stream; the initiator's side of identify and the responder's
    /// of push. Throws `tooLarge` beyond `IdentifyInfo.maximumSize`.
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

    /// What a message says of the peer that has proved `key`.
    ///
    /// Throws `malformed` if it is no message, or names another key.
    static func decode(_ message: [UInt8], of key: PublicKey) throws(LibP2PError) -> IdentifyInfo {
        let info = try IdentifyInfo(decoding: message)
        if let named = info.publicKey, named != key {
            throw .malformed("identify message: it names another key than the peer's")
        }
        return info
    }
}
