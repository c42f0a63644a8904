import Bytes
import Multiformats
import Reactor

/// The gossip streams with one peer: the one it has opened, which is read elsewhere, and the one this side writes to.
///
/// The outgoing stream is opened again when it fails, with growing pauses, until the link is stopped. What is to be sent
/// waits in a bounded queue. A peer that does not even take control has its stream reset: the next one begins with all
/// that control would have said.
@ReactorActor
final class GossipLink {
    /// How long one RPC may take to leave.
    static let writeTimeout = Duration.seconds(30)
    /// The pause before the second attempt to open a stream; it doubles up to the longest.
    static let firstPause = Duration.seconds(1)
    static let longestPause = Duration.seconds(60)

    let peer: PeerID
    /// What a new stream begins with.
    var greeting: @ReactorActor () -> GossipRPC = { GossipRPC() }
    /// Called when the peer turns out not to take gossip streams.
    var gaveUp: @ReactorActor () -> Void = {}

    private let host: Host
    private let protocols: [ProtocolID]
    /// What the peer may still send before the next heartbeat, on whichever stream.
    var budget = GossipBudget()
    private var queue = GossipQueue()
    private let waiting = WaitQueue()
    /// Wakes the task from the pause between two outgoing streams.
    private let resting = WaitQueue()
    private var isResting = false
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

    /// Takes the stream that the peer has opened in the place of an earlier one, which is reset: one is enough.
    func take(_ stream: Stream) {
        incoming?.reset()
        incoming = stream
    }

    /// The peer is reached by another connection now: the outgoing stream is opened on it at once.
    func move(to connection: Connection) {
        if let outgoing, outgoing.connection !== connection {
            isMoving = true
            outgoing.reset()
        } else if isResting {
            resting.wakeAll()
        }
    }

    /// Puts an encoded RPC behind those of its priority; `message` is the one in it. Returns how many RPCs, this one or
    /// others, did not find room.
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

    /// Takes back messages that still wait.
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
                guard await rest(for: pause) else { return }
                pause = min(pause * 2, Self.longestPause)
            }
            isMoving = false
        }
    }

    /// Waits, unless the peer moves meanwhile. False when the task is cancelled.
    private func rest(for pause: Duration) async -> Bool {
        let timer = Reactor.schedule(after: pause) { self.resting.wakeAll() }
        isResting = true
        defer {
            isResting = false
            timer.cancel()
        }
        return await resting.wait()
    }

    /// Writes what is queued until the stream fails. Returns only if the link is stopped.
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
        // The deadline is the whole stream's, and nothing is ever to come from the other side.
        stream.deadline = nil
    }

    /// Waits for the one thing that can come on the outgoing stream: its end.
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
