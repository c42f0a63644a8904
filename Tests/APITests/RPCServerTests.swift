import Chain
import HTTP
import Node
import Reactor
import TestSupport
import Testing
import VirtualIO

@testable import API

@Suite struct RPCServerTests {
    private func start(_ limits: RPCServer.Limits = .init()) async throws -> RPCServer {
        try await RPCServer.start(
            listen: ["127.0.0.1:0"], limits: limits, dispatcher: RPCDispatcher(try FixedNode()) { 5_000 })
    }

    /// Sends bytes and returns everything until the server closes.
    private func exchange(_ server: RPCServer, _ text: String) throws -> String {
        let socket = try LoopbackSocket(port: UInt16(server.port))
        socket.send(text)
        return socket.readToEnd()
    }

    @Test func clientAndServerSpeak() async throws {
        let server = try await start()
        let client = try RPCClient("127.0.0.1:\(server.port)")
        #expect(try await client.chainID() == "fixed")
        #expect(try await client.status().height == 7)
        let rows = try await client.query("SELECT $a", [RawStatement.Parameter("$a", .text("x"))])
        #expect(rows.rows[0][0] == .text("x"))
        let transaction = try FixedNode().known
        let mixed = try await client.query("mixed")
        #expect(mixed.columns == ["v", "n"])
        // Precision and scale belong to the column, not to a cell.
        #expect(mixed.rows.map { $0.map(\.elements) } == FixedNode.mixed.rows.map { $0.map(\.elements) })
        let outcome = try await client.broadcast(transaction, waitForCommit: true)
        #expect(outcome.id == transaction.id)
        #expect(try await client.broadcast([transaction, transaction]).isEmpty)
        await #expect(throws: RPCClient.Failure.self) { try await client.query("SELECT 2") }
        // The connection has survived the error.
        #expect(try await client.status().peerCount == 3)
        await client.close()
        await server.stop()
    }

    /// A request that is too large gets a JSON-RPC error, which the client reports.
    @Test func aRequestThatIsTooLargeIsAnswered() async throws {
        var limits = RPCServer.Limits()
        limits.http.maximumBodySize = 2_000
        let server = try await start(limits)
        let client = try RPCClient("127.0.0.1:\(server.port)")
        let long = String(repeating: "x", count: 3_000_000)
        do {
            _ = try await client.query(long)
            Issue.record("the server accepted it")
        } catch {
            #expect("\(error)".contains("limit of 2000 bytes"), "\(error)")
        }
        await client.close()
        let text = try exchange(server, "POST /rpc/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2001\r\n\r\n")
        #expect(text.hasPrefix("HTTP/1.1 413 "))
        #expect(text.hasSuffix(#""id":null}"#) && text.contains(#""code":-32005"#), "\(text)")
        await server.stop()
    }

    /// Runs as in the simulator: on one virtual loop, over a network that delays and loses packets.
    @Test(arguments: 0..<3)
    func clientAndServerSpeakOnAVirtualNetwork(_ seed: UInt64) throws {
        try MemoryNetwork.run(seed: seed) {
            VirtualNetwork.current?.defaultLink = .init(
                latency: .milliseconds(20), jitter: .milliseconds(50), lossPerMille: 50)
            let dispatcher = RPCDispatcher(try FixedNode()) { 5_000 }
            let http = try HTTPServer.start(
                on: [SocketAddress(ip: "192.0.2.1", port: 8484)], routes: RPCServer.routes(dispatcher))
            let client = try RPCClient("192.0.2.1:8484")
            for _ in 0..<10 { #expect(try await client.chainID() == "fixed") }
            #expect(http.connectionCount == 1)
            #expect(Reactor.now > .milliseconds(400))
            await client.close()
            await http.stop()
        }
    }

    @Test(arguments: [
        ("GET /none HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "HTTP/1.1 404"),
        ("GET /rpc/v1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "HTTP/1.1 405"),
        ("GET /api/v1/health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "HTTP/1.1 200"),
        ("GET http://node.example/api/v1/health HTTP/1.0\r\n\r\n", "HTTP/1.1 200"),
        ("HEAD /api/v1/health HTTP/1.0\r\n\r\n", "HTTP/1.1 200"),
        ("OPTIONS /rpc/v1 HTTP/1.0\r\n\r\n", "HTTP/1.1 204"),
        ("garbage\r\n\r\n", "HTTP/1.1 400"),
        (
            "POST /rpc/v1 HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 413"
        ),
    ])
    func rawRequests(_ request: String, _ start: String) async throws {
        let server = try await self.start()
        let answer = try exchange(server, request)
        #expect(answer.hasPrefix(start), "\(answer)")
        await server.stop()
    }

    @Test func everyAnswerMayBeReadByAnyPage() async throws {
        let server = try await self.start()
        let request = "POST /rpc/v1 HTTP/1.0\r\ncontent-length: 4\r\n\r\nnope"
        for request in [request, "GET /rpc/v1 HTTP/1.0\r\n\r\n", "OPTIONS /rpc/v1 HTTP/1.0\r\n\r\n"] {
            let answer = try exchange(server, request)
            #expect(answer.contains("\r\naccess-control-allow-origin: *\r\n"), "\(answer)")
            #expect(answer.contains("\r\naccess-control-allow-methods: POST, GET, OPTIONS\r\n"))
            #expect(answer.contains("\r\naccess-control-allow-headers: content-type\r\n"))
        }
        await server.stop()
    }

    @Test func aRequestWhoseClientEndsItsSideIsAnswered() async throws {
        let server = try await self.start()
        let socket = try LoopbackSocket(port: UInt16(server.port))
        socket.send("GET /api/v1/health HTTP/1.1\r\nhost: a\r\n\r\n")
        socket.shutdownWrite()
        #expect(socket.readToEnd().hasPrefix("HTTP/1.1 200 "))
        await server.stop()
    }

    @Test func headersAreBounded() async throws {
        let server = try await start()
        let header = "x: " + String(repeating: "y", count: 1 << 20)
        let answer = try exchange(server, "GET / HTTP/1.1\r\nhost: a\r\n\(header)\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 431 "), "\(answer)")
        await server.stop()
    }

    /// New limits apply at once, also on a connection that is open.
    @Test func limitsChangeWhileTheServerRuns() async throws {
        let server = try await start()
        let client = try RPCClient("127.0.0.1:\(server.port)")
        #expect(try await client.status().height == 7)
        var limits = RPCServer.Limits()
        limits.http.maximumBodySize = 2_000
        limits.http.maximumConnectionsPerAddress = 1
        await server.change(limits)
        let text = try exchange(server, "POST /rpc/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2001\r\n\r\n")
        #expect(text.hasPrefix("HTTP/1.1 413 ") && text.contains("limit of 2000 bytes"), "\(text)")
        #expect(try await client.status().height == 7)
        await client.close()
        await server.stop()
    }

    @Test func busyPortIsOneLine() async throws {
        let server = try await start()
        let error = await #expect(throws: NodeError.self) {
            try await RPCServer.start(
                listen: ["127.0.0.1:\(server.port)"], limits: .init(),
                dispatcher: RPCDispatcher(try FixedNode()) { 0 })
        }
        #expect(error?.description.contains("127.0.0.1:\(server.port)") == true)
        await server.stop()
    }

    @Test(arguments: ["", "host", "host:", "host:99999", "host:x"])
    func badListenAddresses(_ listen: String) async throws {
        await #expect(throws: NodeError.self) {
            try await RPCServer.start(
                listen: [listen], limits: .init(), dispatcher: RPCDispatcher(try FixedNode()) { 0 })
        }
    }
}
