import Chain
import Foundation
import NIOCore
import NIOPosix
import Node
import Synchronization
import Testing

@testable import API

@Suite struct RPCServerTests {
    private func start(_ limits: RPCServer.Limits = .init()) async throws -> RPCServer {
        try await RPCServer.start(
            listen: "127.0.0.1:0", limits: limits, dispatcher: RPCDispatcher(try FixedNode()) { 5_000 })
    }

    /// Sends raw bytes as soon as there is a connection and takes everything until the server closes. On its event loop
    /// alone: tasks may wait long enough in a full test run for the server to close an idle connection.
    private final class Exchange: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let text: String
        private let answer = Mutex("")
        let ended: EventLoopPromise<String>

        init(_ text: String, _ ended: EventLoopPromise<String>) {
            self.text = text
            self.ended = ended
        }

        func channelActive(context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let part = String(buffer: unwrapInboundIn(data))
            answer.withLock { $0 += part }
        }

        func channelInactive(context: ChannelHandlerContext) {
            ended.succeed(answer.withLock { $0 })
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private func exchange(_ server: RPCServer, _ text: String) async throws -> String {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let exchange = Exchange(text, loop.makePromise(of: String.self))
        let connected = ClientBootstrap(group: loop)
            .channelInitializer { $0.pipeline.addHandler(exchange) }
            .connect(host: "127.0.0.1", port: server.port)
        connected.whenFailure { exchange.ended.fail($0) }
        return try await exchange.ended.futureResult.get()
    }

    @Test func clientAndServerSpeak() async throws {
        let server = try await start()
        let client = try RPCClient("127.0.0.1:\(server.port)")
        #expect(try await client.chainID() == "fixed")
        #expect(try await client.status().height == 7)
        let rows = try await client.query("SELECT $a", [RawStatement.Parameter("$a", .text("x"))])
        #expect(rows.rows[0][0] == .text("x"))
        let transaction = try FixedNode().known
        let outcome = try await client.broadcast(transaction, waitForCommit: true)
        #expect(outcome.id == transaction.id)
        #expect(try await client.broadcast([transaction, transaction]).isEmpty)
        await #expect(throws: RPCClient.Failure.self) { try await client.query("SELECT 2") }
        // The connection has survived the error.
        #expect(try await client.status().peers == 3)
        await client.close()
        await server.stop()
    }

    @Test(arguments: [
        ("GET /none HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "HTTP/1.1 404"),
        ("GET /rpc/v1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "HTTP/1.1 405"),
        ("GET /api/v1/health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "HTTP/1.1 200"),
        ("garbage\r\n\r\n", "HTTP/1.1 400"),
        (
            "POST /rpc/v1 HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 413"
        ),
    ])
    func rawRequests(_ request: String, _ start: String) async throws {
        let server = try await self.start()
        let answer = try await exchange(server, request)
        #expect(answer.hasPrefix(start), "\(answer)")
        await server.stop()
    }

    @Test func headersAreBounded() async throws {
        let server = try await start()
        let header = "x: " + String(repeating: "y", count: 1 << 20)
        // An error or a reset, never an answer to the request.
        let answer = (try? await exchange(server, "GET / HTTP/1.1\r\n\(header)\r\n\r\n")) ?? ""
        #expect(!answer.hasPrefix("HTTP/1.1 404"), "\(answer)")
        await server.stop()
    }

    @Test func busyPortIsOneLine() async throws {
        let server = try await start()
        let error = await #expect(throws: RPCServer.StartError.self) {
            try await RPCServer.start(
                listen: "127.0.0.1:\(server.port)", limits: .init(),
                dispatcher: RPCDispatcher(try FixedNode()) { 0 })
        }
        #expect(error?.description.contains("127.0.0.1:\(server.port)") == true)
        await server.stop()
    }

    @Test(arguments: ["", "host", "host:", "host:99999", "host:x"])
    func badListenAddresses(_ listen: String) async throws {
        await #expect(throws: RPCServer.StartError.self) {
            try await RPCServer.start(
                listen: listen, limits: .init(), dispatcher: RPCDispatcher(try FixedNode()) { 0 })
        }
    }
}
