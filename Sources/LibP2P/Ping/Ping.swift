import Reactor

/// The dialogue of `/ipfs/ping/1.0.0`: the initiator sends 32 bytes, the responder sends them back, as often as the
/// initiator likes.
///
/// libp2p ping specification.
@ReactorActor
public enum Ping {
    /// Bytes of one ping.
    public static let size = 32
    /// How long an answer may take, and how long a responder waits for the next ping.
    public static let timeout = Duration.seconds(60)

    /// What a ping costs in the units of `MessageCredit` that comes before the answer to the one before it.
    static let earlyCost = 16

    /// Answers pings until the peer closes the stream.
    public static func respond(on stream: Stream) async {
        do {
            while true {
                stream.setTimeout(timeout)
                try await stream.write(try await stream.readExactly(size))
                // Whoever measures waits for the answer.
                if stream.queue.count >= size { stream.connection.mux.cost &+= earlyCost }
                try await stream.spend(1)
            }
        } catch .endOfStream {
            stream.close()
        } catch {
            stream.reset()
        }
    }

    /// Sends one ping and returns how long its answer took. The stream stays open for another.
    ///
    /// Throws `malformed` if other bytes come back than were sent.
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
            throw .malformed("ping: other bytes came back than were sent")
        }
        return Reactor.now - start
    }
}
