import Reactor

/// `/ipfs/ping/1.0.0`: the initiator sends 32 bytes and the responder sends them back, as often as the initiator likes.
///
/// libp2p ping specification.
@ReactorActor
public struct Ping: StreamProtocol {
    /// The protocol's only ID.
    public nonisolated static let ids: [ProtocolID] = [.ping]
    /// The size of a ping, in bytes.
    public static let size = 32
    /// How long an answer may take, and how long a responder waits for the next ping.
    public static let timeout = Duration.seconds(60)

    /// The cost, in units of `MessageCredit`, of a ping that comes before the previous one has been answered.
    static let earlyCost = 16

    /// Answers pings until the peer closes the stream.
    public func serve(_ stream: Stream) async throws {
        do throws(LibP2PError) {
            while true {
                stream.setTimeout(Self.timeout)
                try await stream.write(try await stream.readExactly(Self.size))
                // An honest peer waits for the answer.
                if stream.queue.count >= Self.size { stream.connection.mux.cost &+= Self.earlyCost }
                try await stream.spend(1)
            }
        } catch .endOfStream {}
    }

    /// Sends a ping and returns the round-trip time. The stream stays open for another.
    ///
    /// Throws `malformed` if the answer differs from the bytes sent.
    public static func measure(on stream: Stream) async throws(LibP2PError) -> Duration {
        var payload: [UInt8] = []
        while payload.count < size {
            withUnsafeBytes(of: Reactor.random()) { payload.append(contentsOf: $0) }
        }
        stream.setTimeout(timeout)
        let start = Reactor.now
        try await stream.write(payload)
        guard try await stream.readExactly(size) == payload else {
            stream.reset()
            throw .malformed("ping: the answer differs from the bytes sent")
        }
        return Reactor.now - start
    }
}

extension ProtocolID {
    /// Echo of 32 bytes.
    public static let ping: ProtocolID = "/ipfs/ping/1.0.0"
}
