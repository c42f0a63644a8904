import HTTP
import Metrics

/// The metrics of the JSON-RPC server: requests by method and outcome, their durations, connections and bytes.
public struct RPCMetrics: Sendable {
    /// How a request ended.
    enum Outcome: String, MetricLabel {
        case ok
        /// The request is malformed, or cannot be fulfilled.
        case refused
        /// A limit was reached; the same request may succeed later.
        case busy
        case timeout
        /// The node failed.
        case failed

        init(_ failure: JSONRPC.Failure) {
            switch JSONRPC.Code(rawValue: failure.code) {
            case .limitExceeded: self = .busy
            case .timeout: self = .timeout
            case .internal: self = .failed
            default: self = .refused
            }
        }
    }

    let http = HTTPMetrics()
    let registry: MetricsRegistry
    private let requests: MetricTable<RPCMethod, MetricTable<Outcome, Counter>>
    private let durations: MetricTable<RPCMethod, Histogram>
    /// Requests that name no method of this server.
    private let unknown: MetricTable<Outcome, Counter>

    /// Creates the metrics of a server in a registry.
    public init(_ registry: MetricsRegistry) {
        self.registry = registry
        let help = "Requests of JSON-RPC answered, by method and outcome."
        requests = registry.counters("apus_rpc_requests_total", help, by: "method", "outcome")
        unknown = registry.counters(
            "apus_rpc_unknown_requests_total",
            "Requests of JSON-RPC that are malformed or name an unknown method, by outcome.", by: "outcome")
        durations = registry.histograms(
            "apus_rpc_request_seconds",
            "Time from the arrival of a JSON-RPC request, or of its batch, to its answer, by method.",
            by: "method")
        registry.add(http.connections, "apus_rpc_connections", "Open connections of clients of JSON-RPC.")
        registry.add(
            http.refusals, "apus_rpc_connections_refused_total",
            "Connections of clients refused because there were too many.")
        registry.add(
            http.received, "apus_rpc_received_bytes_total", "Bytes received from clients of JSON-RPC.")
        registry.add(http.sent, "apus_rpc_sent_bytes_total", "Bytes sent to clients of JSON-RPC.")
    }

    /// Counts an answer.
    func record(_ method: RPCMethod?, _ outcome: Outcome, after time: Duration) {
        guard let method else { return unknown[outcome].add() }
        requests[method][outcome].add()
        durations[method].record(time)
    }
}

extension RPCMethod: MetricLabel {}
