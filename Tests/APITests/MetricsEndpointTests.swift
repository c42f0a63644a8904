import HTTP
import Metrics
import TestSupport
import Testing

@testable import API

@Suite struct MetricsEndpointTests {
    private func get(_ path: String, port: Int) throws -> String {
        let socket = try LoopbackSocket(port: UInt16(port))
        socket.send("GET \(path) HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        return socket.readToEnd()
    }

    private func start(
        _ node: FixedNode, _ registry: MetricsRegistry = MetricsRegistry()
    ) async throws -> RPCServer {
        try await RPCServer.start(
            listen: ["127.0.0.1:0"], limits: .init(),
            dispatcher: RPCDispatcher(node, metrics: RPCMetrics(registry)) { 5_000 },
            metrics: MetricsEndpoint(listen: ["127.0.0.1:0"]) { registry.text() })
    }

    @Test func metricsHaveAnAddressOfTheirOwn() async throws {
        let server = try await start(try FixedNode())
        let port = try #require(server.metricsPort)
        let answer = try get("/metrics", port: port)
        #expect(answer.hasPrefix("HTTP/1.1 200 "), "\(answer)")
        #expect(answer.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"))
        #expect(answer.contains("\napus_reactor_turn_seconds_count{loop=\"clients\"} "))
        // A page of another origin must not read them.
        #expect(!answer.contains("access-control"))
        #expect(try get("/rpc/v1", port: port).hasPrefix("HTTP/1.1 404 "))
        #expect(try get("/metrics", port: server.port).hasPrefix("HTTP/1.1 404 "))
        await server.stop()
    }

    @Test func aBusyAddressIsNamed() async throws {
        let first = try await start(try FixedNode())
        let busy = "127.0.0.1:\(try #require(first.metricsPort))"
        let error = await #expect(throws: (any Error).self) {
            try await RPCServer.start(
                listen: ["127.0.0.1:0"], limits: .init(), dispatcher: RPCDispatcher(try FixedNode()) { 0 },
                metrics: MetricsEndpoint(listen: [busy]) { [] })
        }
        #expect("\(try #require(error))".contains("\(busy) for metrics (metrics.listen)"))
        await first.stop()
    }

    @Test func probesTellLifeFromReadiness() async throws {
        var node = try FixedNode()
        var server = try await start(node)
        #expect(try get("/health", port: server.port).hasSuffix("\r\n\r\nok\n"))
        let ready = try get("/ready", port: server.port)
        #expect(ready.hasPrefix("HTTP/1.1 200 ") && ready.hasSuffix("ready at height 7\n"), "\(ready)")
        await server.stop()

        node.trouble = "no peer of this chain is connected"
        server = try await start(node)
        #expect(try get("/health", port: server.port).hasPrefix("HTTP/1.1 200 "))
        let troubled = try get("/ready", port: server.port)
        #expect(troubled.hasPrefix("HTTP/1.1 503 "))
        #expect(troubled.hasSuffix("\r\n\r\nno peer of this chain is connected\n"), "\(troubled)")
        await server.stop()
    }

    @Test func requestsAreCountedByMethodAndOutcome() async throws {
        let registry = MetricsRegistry()
        let dispatcher = RPCDispatcher(try FixedNode(), metrics: RPCMetrics(registry)) { 5_000 }
        func call(_ method: String, _ parameters: String = "{}") -> String {
            #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(parameters)}"#
        }
        let bodies = [
            call("user.version"), call("chain.validators"), call("chain.block", #"{"height":7}"#),
            call("user.query", #"{"query":"SELECT 2"}"#), call("user.account"), call("no.such"), "nope",
            "[\(call("user.version")),\(call("user.version"))]",
        ]
        for body in bodies { _ = await dispatcher.respond(to: Array(body.utf8)) }
        let text = String(decoding: registry.text(), as: UTF8.self)
        for line in [
            #"apus_rpc_requests_total{method="user.version",outcome="ok"} 3"#,
            #"apus_rpc_requests_total{method="chain.validators",outcome="ok"} 1"#,
            #"apus_rpc_requests_total{method="chain.block",outcome="ok"} 1"#,
            #"apus_rpc_requests_total{method="user.query",outcome="refused"} 1"#,
            #"apus_rpc_requests_total{method="user.account",outcome="refused"} 1"#,
            #"apus_rpc_unknown_requests_total{outcome="refused"} 2"#,
            #"apus_rpc_request_seconds_count{method="user.version"} 3"#,
            #"apus_rpc_request_seconds_count{method="user.query"} 1"#,
        ] {
            #expect(text.contains("\n\(line)\n"), "\(line)")
        }
    }
}
