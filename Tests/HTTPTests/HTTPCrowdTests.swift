import Glibc
import Reactor
import TestSupport
import Testing

@testable import HTTP

/// Many connections over kernel sockets, on both drivers.
@Suite(.timeLimit(.minutes(5)), .serialized) struct HTTPCrowdTests {
    private func serve(
        _ kind: Reactor.DriverKind, _ change: (inout HTTPServer.Limits) -> Void,
        _ body: (EventLoop, HTTPServer) async throws -> Void
    ) async throws {
        var limits = HTTPServer.Limits()
        change(&limits)
        let loop = try EventLoop.start(kind, name: "test-crowd")
        defer { loop.stop() }
        let server = try await loop.run { [limits] in
            try HTTPServer.start(
                on: [SocketAddress(ip: "127.0.0.1", port: 0)], limits: limits,
                routes: [
                    HTTPRoute("/", [.get]) { _ in
                        HTTPResponse(contentType: "text/plain", body: Array("root".utf8))
                    }
                ])
        }
        try await body(loop, server)
        await loop.perform { await server.stop() }
    }

    private func count(_ loop: EventLoop, _ server: HTTPServer) async -> Int {
        await loop.perform { server.connectionCount }
    }

    /// Accepted and rejected connections, closed in every way: none is counted for longer than it lasts.
    @Test(arguments: [Reactor.DriverKind.epoll, .ioUring])
    func afterTenThousandConnectionsTheServerAnswers(_ kind: Reactor.DriverKind) async throws {
        try await serve(
            kind,
            {
                $0.maximumConnections = 40
                $0.maximumRefusals = 20
            }
        ) { loop, server in
            var answered = 0
            var told = 0
            for round in 0..<100 {
                let clients = try (0..<100).map { _ in try LoopbackSocket(port: server.localAddress.port) }
                // The first are accepted; those behind them are rejected.
                for client in clients.prefix(5) {
                    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    let (head, body) = client.readResponse()
                    if body == "root" { answered += 1 }
                    if head.hasPrefix("HTTP/1.1 503 ") { told += 1 }
                }
                for (index, client) in clients.enumerated() {
                    switch (index + round) % 3 {
                    case 0: client.close()
                    case 1: client.reset()
                    default: client.shutdownWrite()
                    }
                }
            }
            #expect(answered > 0)
            #expect(server.metrics.refusals.value > 0)
            var left = await count(loop, server)
            for _ in 0..<100 where left > 0 {
                try await Task.sleep(for: .milliseconds(50))
                left = await count(loop, server)
            }
            #expect(left == 0)
            for _ in 0..<40 {
                let client = try LoopbackSocket(port: server.localAddress.port)
                client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                #expect(client.readToEnd().hasSuffix("root"))
            }
        }
    }

    @Test(arguments: [Reactor.DriverKind.epoll, .ioUring])
    func twoThousandClientsAreAllServed(_ kind: Reactor.DriverKind) async throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = min(limit.rlim_max, 16_384)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let crowd = min(2_000, Int(limit.rlim_cur) / 3)
        try await serve(kind, { _ in }) { loop, server in
            let clients = try (0..<crowd).map { _ in try LoopbackSocket(port: server.localAddress.port) }
            for _ in 0..<3 {
                for client in clients { client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
                for client in clients { #expect(client.readResponse().body == "root") }
            }
            let open = await count(loop, server)
            #expect(open == crowd)
            for client in clients { client.close() }
        }
    }

    /// A socket bound by another process, such as a service manager, outlives the server.
    @Test(arguments: [Reactor.DriverKind.epoll, .ioUring], [false, true])
    func servesOnASocketFromOutside(_ kind: Reactor.DriverKind, _ isNonBlocking: Bool) async throws {
        let flags = isNonBlocking ? Int32(SOCK_NONBLOCK.rawValue) : 0
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | flags, 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(bound == 0 && listen(descriptor, 8) == 0)
        for _ in 0..<2 {
            let loop = try EventLoop.start(kind, name: "test-given")
            defer { loop.stop() }
            let server = try await loop.run {
                try HTTPServer.start(
                    on: [], passed: [dup(descriptor)],
                    routes: [
                        HTTPRoute("/", [.get]) { _ in
                            HTTPResponse(contentType: "text/plain", body: Array("root".utf8))
                        }
                    ])
            }
            #expect(server.localAddress.port != 0)
            for _ in 0..<3 {
                let client = try LoopbackSocket(port: server.localAddress.port)
                client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                #expect(client.readToEnd().hasSuffix("root"))
            }
            await loop.perform { await server.stop() }
            // The next client waits for the next server.
            _ = try LoopbackSocket(port: server.localAddress.port)
        }
    }

    @Test(arguments: [Reactor.DriverKind.epoll, .ioUring])
    func whatIsNoListeningSocketIsRefused(_ kind: Reactor.DriverKind) async throws {
        let loop = try EventLoop.start(kind, name: "test-none")
        defer { loop.stop() }
        let others = [
            -1, open("/dev/null", O_RDONLY), socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0),
            socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0), socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0),
        ]
        for descriptor in others {
            await #expect(throws: ReactorError.notListening(descriptor: descriptor)) {
                try await loop.run { _ = try HTTPServer.start(on: [], passed: [descriptor], routes: []) }
            }
        }
    }
}
