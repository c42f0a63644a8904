import Reactor

/// A protocol spoken on streams: its IDs, and this host's part of the dialogue on a stream that a peer opens.
///
/// `Host.register` serves it. The other part of the dialogue belongs in the same file, as static functions that open a stream
/// with `Host.newStream`. docs/adding-a-protocol.md shows a complete protocol.
@ReactorActor
public protocol StreamProtocol {
    /// The protocol's IDs, the preferred one first.
    nonisolated static var ids: [ProtocolID] { get }
    /// The class of the protocol's messages in metrics, such as `blocks`.
    nonisolated static var traffic: String { get }
    /// Which streams of a connection send first.
    nonisolated static var priority: StreamPriority { get }
    /// The deadline of a stream when `serve` is called, unless that sets another; nil for none.
    nonisolated static var patience: Duration? { get }

    /// Runs the dialogue with the peer. Then the host closes the stream. If this throws, the host resets the stream and
    /// reports the peer for the misbehaviour that `HostConfiguration.misbehaviour` finds in the error.
    func serve(_ stream: Stream) async throws
}

/// Which of a connection's streams send first while its send queue is full.
public enum StreamPriority: Sendable {
    /// What the network waits for, such as votes and proposals. It waits for no stream of low priority.
    case high
    /// What may take time, such as sync.
    case low
}

extension StreamProtocol {
    /// `other`.
    public nonisolated static var traffic: String { "other" }

    /// `low`.
    public nonisolated static var priority: StreamPriority { .low }

    /// No deadline.
    public nonisolated static var patience: Duration? { nil }
}

extension Host {
    /// Serves inbound streams of a protocol, each in its own task. Identify push tells connected peers about it.
    public func register<Served: StreamProtocol>(_ served: Served) {
        let registration = Registration(patience: Served.patience, priority: Served.priority) {
            try await served.serve($0)
        }
        for id in Served.ids {
            registrations[id] = registration
            metrics(of: id, Served.traffic)
        }
        protocolsChanged()
    }

    /// Serves a single ID with a closure: for tests, and for hosts that only impersonate a protocol.
    package func register(
        _ id: ProtocolID, _ serve: @escaping @ReactorActor @Sendable (Stream) async throws -> Void
    ) {
        registrations[id] = Registration(patience: nil, priority: .low, serve: serve)
        protocolsChanged()
    }

    /// Stops serving these protocols. Open streams continue.
    public func unregister(_ ids: [ProtocolID]) {
        for id in ids { registrations[id] = nil }
        protocolsChanged()
    }

    /// How a protocol is served.
    struct Registration {
        let patience: Duration?
        let priority: StreamPriority
        let serve: @ReactorActor (Stream) async throws -> Void
    }

    /// Serves a stream whose first bytes have arrived. Its deadline is that of the negotiation.
    func serve(_ stream: Stream) {
        Reactor.spawn {
            stream.connection.began()
            guard let registration = await self.negotiate(stream) else { return stream.reset() }
            do {
                try await registration.serve(stream)
                stream.close()
            } catch {
                stream.metrics?.failed.add()
                stream.reset(because: error)
            }
        }
    }

    private func negotiate(_ stream: Stream) async -> Registration? {
        guard let id = try? await stream.negotiateInbound({ self.served }),
            let registration = registrations[id],
            stream.connection.admit(stream, id)
        else { return nil }
        stream.protocolID = id
        stream.metrics = metrics(of: id)
        stream.metrics?.served.add()
        stream.deadline = registration.patience.map { Reactor.now + $0 }
        return registration
    }
}

extension Stream {
    /// Resets the stream, and reports the peer for the misbehaviour that `HostConfiguration.misbehaviour` finds in the error.
    public func reset(because error: any Error) {
        reset()
        guard let what = connection.host.configuration.misbehaviour(error) else { return }
        connection.host.report(remotePeer, what, because: error)
    }
}
