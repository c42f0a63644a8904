import Metrics

/// What a host counts: handshakes, dials, streams and their bytes by protocol, and peers' misbehaviour.
public final class HostMetrics: Sendable {
    let handshakes: MetricTable<Direction, Counter>
    let failedHandshakes: MetricTable<HandshakeFailure, Counter>
    let dials: MetricTable<DialOutcome, Counter>
    let penalties: MetricTable<Misbehaviour, Counter>
    private let registry: MetricsRegistry

    /// Creates the metrics of a host in a registry.
    public init(_ registry: MetricsRegistry) {
        self.registry = registry
        handshakes = registry.counters(
            "apus_handshakes_total", "Handshakes of connections that succeeded.", by: "direction")
        failedHandshakes = registry.counters(
            "apus_handshakes_failed_total",
            "Connections refused before their handshake, or that failed in it, by reason.", by: "reason")
        dials = registry.counters("apus_dials_total", "Dials of peers that ended, by outcome.", by: "outcome")
        penalties = registry.counters(
            "apus_penalties_total", "Peers' breaches of the rules, by kind.", by: "reason")
    }

    /// Returns the metrics of a protocol's streams. `traffic` is the class of the protocol's messages.
    func streams(of id: ProtocolID, _ traffic: String) -> StreamMetrics {
        let (name, kind) = (("protocol", id.rawValue), ("class", traffic))
        return StreamMetrics(
            opened: registry.counter(
                "apus_streams_opened_total", "Streams that this node opened, by protocol.", name, kind),
            served: registry.counter(
                "apus_streams_served_total", "Peers' streams that this node served, by protocol.", name, kind),
            failed: registry.counter(
                "apus_streams_failed_total",
                "Peers' streams whose dialogue ended in an error here, by protocol.", name, kind),
            received: registry.counter(
                "apus_stream_received_bytes_total",
                "Bytes that streams' readers took or dropped, by protocol, before encryption.", name, kind),
            sent: registry.counter(
                "apus_stream_sent_bytes_total", "Bytes written to streams, by protocol, before encryption.",
                name, kind))
    }
}

/// The metrics of the streams of one protocol.
struct StreamMetrics: Sendable {
    let opened: Counter
    let served: Counter
    let failed: Counter
    let received: Counter
    let sent: Counter
}

/// The outcome of a dial.
enum DialOutcome: String, MetricLabel {
    case succeeded, failed
}

extension Direction: MetricLabel {}

extension Misbehaviour: MetricLabel {
    /// In Prometheus's style.
    public var label: String { self == .wrongContent ? "wrong_content" : rawValue }
}

/// Why a connection was not made.
enum HandshakeFailure: String, MetricLabel {
    /// A limit on connections or handshakes was reached.
    case limit
    /// This host's rules refuse the peer or its address.
    case refused
    case timeout
    /// The connection ended, or the network failed.
    case network
    /// The peer broke the handshake's format, or its encryption failed.
    case malformed
    /// The peer did not prove its identity, or is not the one dialled.
    case identity
    /// The two sides have no security protocol or multiplexer in common, or are on different chains.
    case incompatible
    /// This host is stopping, or no longer wanted the connection.
    case cancelled

    init(_ error: LibP2PError) {
        switch error {
        case .limitReached: self = .limit
        case .refused: self = .refused
        case .timedOut: self = .timeout
        case .malformed, .tooLarge, .decryptionFailed, .multiplexer, .nonceExhausted: self = .malformed
        case .badSignature, .wrongPeer, .dialedSelf: self = .identity
        case .wrongChain, .protocolNotSupported, .noCommonMultiplexer: self = .incompatible
        case .notRunning, .cancelled: self = .cancelled
        default: self = .network
        }
    }
}
