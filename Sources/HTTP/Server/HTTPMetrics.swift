import Metrics

/// What an HTTP server counts. Any thread may read it.
public final class HTTPMetrics: Sendable {
    /// The bytes received from clients and queued for them, headers included.
    public let (received, sent) = (Counter(), Counter())
    /// The open connections.
    public let connections = Gauge()
    /// The connections rejected because there were too many.
    public let refusals = Counter()

    /// Creates counters of 0.
    public init() {}
}
