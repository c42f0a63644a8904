import HTTP
import Node
import Reactor

/// Serves a node's metrics as `GET /metrics` on addresses of their own, which only the operator's Prometheus should reach
/// (docs/operate/metrics.md).
public struct MetricsEndpoint: Sendable {
    /// The version of the format is part of its media type.
    private static let contentType: StaticString = "text/plain; version=0.0.4; charset=utf-8"
    /// Prometheus waits 10 s by default.
    private static let time = Duration.seconds(10)

    private let listen: [String]
    private let metrics: @Sendable () async -> [UInt8]

    /// Creates an endpoint on each `host:port` that answers with what `metrics` returns, in Prometheus's text format.
    public init(listen: [String], _ metrics: @escaping @Sendable () async -> [UInt8]) {
        self.listen = listen
        self.metrics = metrics
    }

    /// Limits for a few scrapers with small requests.
    private static var limits: HTTPServer.Limits {
        var limits = HTTPServer.Limits()
        limits.maximumConnections = 64
        limits.maximumConnectionsPerAddress = 16
        limits.maximumBodySize = 1_000
        limits.maximumHeldBytes = 1 << 20
        limits.maximumQueuedBytes = 16 << 20
        return limits
    }

    /// Starts the server on a loop. Throws `NodeError.failed`, which names the address.
    func start(on loop: EventLoop) async throws(NodeError) -> HTTPServer {
        let addresses = try await Configuration.resolve(listen, of: "metrics.listen")
        let route = HTTPRoute("/metrics", [.get], time: Self.time) { [metrics] _ in
            HTTPResponse(contentType: Self.contentType, body: await metrics())
        }
        do {
            return try await loop.run {
                try HTTPServer.start(on: addresses, limits: Self.limits, routes: [route])
            }
        } catch {
            let all = listen.joined(separator: ", ")
            throw .failed("cannot listen on \(all) for metrics (metrics.listen): \(error)")
        }
    }
}
