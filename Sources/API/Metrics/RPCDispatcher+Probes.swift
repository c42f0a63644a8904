import HTTP
import Node

/// Answers to the probes of service managers and load balancers (docs/operate/metrics.md, "Probes").
extension RPCDispatcher {
    /// Answers `GET /health`: 200 as soon as the node's event loop has answered.
    func liveness() async -> HTTPResponse {
        _ = await node.status()
        return HTTPResponse(status: 200, line: "ok")
    }

    /// Answers `GET /ready`: 200 while the node is at the tip as far as it can tell, else 503 with the reason.
    func readiness() async -> HTTPResponse {
        let status = await node.status()
        if let trouble = status.trouble { return HTTPResponse(status: 503, line: trouble) }
        guard !status.isSyncing else {
            return HTTPResponse(status: 503, line: "catching up, at height \(status.height)")
        }
        return HTTPResponse(status: 200, line: "ready at height \(status.height)")
    }
}
