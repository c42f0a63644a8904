import Bytes
import Multiformats
import Reactor

/// The gossip streams with one peer: the one that it has opened, which `Gossipsub` reads, and the one to which this
/// side writes.
///
/// If the outgoing stream fails, it is opened again, with growing pauses, until the link is stopped. RPCs wait in a
/// bounded queue. If a peer does not even read control, its stream is reset: the next one begins with the complete
/// state.
@ReactorActor
final class GossipLink {
    /// How long one RPC may take to be written.
    static let writeTimeout = Duration.seconds(30)
    /// The pause before the second attempt to open a stream; it doubles up to the longest.
    static let firstPause = Duration.seconds(1)
    static let longestPause = Duration.seconds(60)

    let peer: PeerID
    /// Returns the first RPC of a new stream.
    var greeting: @ReactorActor () -> GossipRPC = { GossipRPC() }
    /// Called when the peer turns out not to support gossip.
    var gaveUp: @ReactorActor () -> Void = {}

    private let host: Host
    private let protocols: [ProtocolID]
    /// What the peer may still send before the next heartbeat, on any of its streams.
    var budget = GossipBudget()
    private var queue = GossipQueue()
    private let waiting = WaitQueue()
    /// Wakes the task from the pause between two outgoing streams.
    private let resting = WaitQueue()
    /// Whether the next outgoing stream is opened without a pause.
    private var isMoving = false
    private var incoming: Stream?
    private var outgoing: Stream?
    private var task: Task<Void, Never>?
    private var isStopped = false
    /// Whether the outgoing stream has ended or failed.
    private var isBroken = false
    private var failure: LibP2PError?

    init(_ peer: PeerID, host: Host, protocols: [ProtocolID]) {
        self.peer = peer
        self.host = host
        self.protocols = protocols
    }

    /// Begins to open the outgoing stream.
    func start() {
        task = Reactor.spawn { await self.run() }
    }

    /// Resets both streams.
    func stop() {
        isStopped = true
        task?.cancel()
        waiting.wakeAll()
        resting.wakeAll()
        incoming?.reset()
        outgoing?.reset()
        queue.removeAll()
    }

    /// Takes a stream that the peer has opened, and resets an earlier one.
    func take(_ stream: Stream) {
        incoming?.reset()
        incoming = stream
    }

    /// Opens the outgoing stream on another connection at once, because that is the peer's primary one now.
    func move(to connection: Connection) {
        if let outgoing, outgoing.connection !== connection {
            isMoving = true
            outgoing.reset()
        } else {
            resting.wakeAll()
        }
    }

    /// Queues an encoded RPC. `message` is the ID of the message in it. Returns how many RPCs, this one or others, were
    /// dropped for it.
    func send(_ rpc: SharedBytes, _ priority: GossipPriority, message: GossipMessage.ID? = nil) -> Int {
        guard !isStopped else { return 0 }
        switch queue.push(rpc, priority, message: message) {
        case .queued(let displaced):
            waiting.wakeAll()
            return displaced
        case .full:
            if priority == .control {
                queue.removeAll()
                outgoing?.reset()
            }
            return 1
        }
    }

    /// Removes messages that are still queued.
    func withdraw(_ messages: [GossipMessage.ID]) { queue.remove(Set(messages)) }

    private func run() async {
        var pause = Self.firstPause
        while !isStopped, host.isConnected(peer) {
            do throws(LibP2PError) {
                let stream = try await host.newStream(peer, protocols)
                guard !isStopped else { return stream.reset() }
                outgoing = stream
                isBroken = false
                try await write(to: stream, pause: &pause)
            } catch .protocolNotSupported {
                return gaveUp()
            } catch {
                outgoing?.reset()
            }
            outgoing = nil
            guard !isStopped else { return }
            if !isMoving {
                // Until the pause is over or `move` is called.
                _ = await resting.wait(limit: pause)
                pause = min(pause * 2, Self.longestPause)
            }
            isMoving = false
        }
    }

    /// Writes queued RPCs until the stream fails. Returns only when the link is stopped.
    private func write(to stream: Stream, pause: inout Duration) async throws(LibP2PError) {
        try await write(SharedBytes(greeting().encoded), to: stream)
        watch(stream)
        while !isStopped {
            guard !isBroken else { throw failure ?? .endOfStream }
            guard let next = queue.popFirst() else {
                guard await waiting.wait() else { return }
                continue
            }
            try await write(next, to: stream)
            pause = Self.firstPause
        }
    }

    private func write(_ bytes: SharedBytes, to stream: Stream) async throws(LibP2PError) {
        stream.setTimeout(Self.writeTimeout)
        try await stream.write(bytes)
        // The deadline applies to the whole stream, and `watch` waits on it for an unlimited time.
        stream.deadline = nil
    }

    /// Waits for the end of the outgoing stream, on which the peer sends nothing.
    private func watch(_ stream: Stream) {
        failure = nil
        Reactor.spawn {
            var failure: LibP2PError?
            do throws(LibP2PError) {
                _ = try await stream.read(upTo: 1)
            } catch {
                failure = error
            }
            guard self.outgoing === stream else { return }
            self.failure = failure
            self.isBroken = true
            self.waiting.wakeAll()
        }
    }
}
