import Reactor
import Testing
import VirtualIO

@testable import HTTP

/// A client that sends given bytes and keeps what it receives, for tests on a virtual network.
@ReactorActor
final class RawClient: TCPConnectionDelegate {
    private(set) var bytes: [UInt8] = []
    private(set) var hasServerEnded = false
    private(set) var isClosed = false
    private(set) var error: ReactorError?
    let tcp: TCPConnection

    /// Connects to `server`, from `source` if given.
    static func connect(_ server: SocketAddress, from source: String? = nil) async throws -> RawClient {
        let source = try source.map { try SocketAddress(ip: $0, port: 0) }
        let tcp = try await TCPConnection.connect(to: server, from: source, timeout: .seconds(5))
        let client = RawClient(tcp)
        tcp.delegate = client
        return client
    }

    private init(_ tcp: TCPConnection) { self.tcp = tcp }

    var text: String { String(decoding: bytes, as: UTF8.self) }

    func send(_ text: String) { Array(text.utf8).withUnsafeBytes { tcp.send($0) } }

    /// Lets time pass, with everything due in it.
    func wait(_ time: Duration = .milliseconds(50)) async throws { try await Reactor.sleep(for: time) }

    /// Sends, waits and returns what has arrived.
    func ask(_ text: String) async throws -> String {
        send(text)
        try await wait()
        return take()
    }

    func take() -> String {
        defer { bytes = [] }
        return text
    }

    override func received(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes.append(contentsOf: bytes) }
    override func peerClosedWrite() { hasServerEnded = true }
    override func closed(_ error: ReactorError?) {
        isClosed = true
        self.error = error
    }
}

/// The service under test, with counters of what happened.
@ReactorActor
final class TestService {
    private(set) var cancelled = 0
    private(set) var answered = 0
    private(set) var limits: [Int] = []

    nonisolated static let address = "192.0.2.1"

    func server(_ change: (inout HTTPServer.Limits) -> Void = { _ in }) throws -> HTTPServer {
        var limits = HTTPServer.Limits()
        change(&limits)
        return try HTTPServer.start(
            on: [try SocketAddress(ip: Self.address, port: 80)], limits: limits, routes: routes,
            commonFields: "x-common: 1\r\n", wallClock: { 784_111_777 })
    }

    var routes: [HTTPRoute] {
        [
            HTTPRoute("/echo", [.post]) { [self] request in
                limits.append(request.replyLimit)
                answered += 1
                return HTTPResponse(contentType: "text/plain", body: request.body)
            },
            HTTPRoute("/hello", [.get]) { [self] _ in
                answered += 1
                return HTTPResponse(contentType: "text/plain", body: Array("hello".utf8))
            },
            HTTPRoute("/none", [.get]) { _ in HTTPResponse(status: 204, contentType: nil, body: []) },
            HTTPRoute("/big", [.get]) { [self] _ in
                answered += 1
                return HTTPResponse(contentType: "text/plain", body: Array(repeating: 120, count: 2 << 20))
            },
            HTTPRoute("/slow", [.get]) { [self] _ in
                do {
                    try await Reactor.sleep(for: .seconds(8))
                    answered += 1
                } catch {
                    cancelled += 1
                }
                return HTTPResponse(contentType: "text/plain", body: Array("slow".utf8))
            },
            HTTPRoute("/deaf", [.get]) { [self] _ in
                let pause = Reactor.spawn { try? await Reactor.sleep(for: .seconds(100)) }
                await pause.value
                answered += 1
                return HTTPResponse(contentType: "text/plain", body: Array("deaf".utf8))
            },
        ]
    }
}

/// Runs `body` with a test server on a virtual network.
func withServer(
    seed: UInt64 = 1, latency: Duration = .milliseconds(1),
    limits change: @escaping @Sendable (inout HTTPServer.Limits) -> Void = { _ in },
    _ body: @escaping @ReactorActor @Sendable (HTTPServer, TestService) async throws -> Void
) throws {
    try MemoryNetwork.run(seed: seed, latency: latency) {
        let service = TestService()
        let server = try service.server(change)
        try await body(server, service)
        await server.stop()
        #expect(server.connectionCount == 0)
        #expect(server.heldBytes == 0)
    }
}

/// Returns the HTTP/1.1 request `GET path`.
func get(_ path: String, _ fields: String = "") -> String {
    "GET \(path) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"
}

/// Returns the HTTP/1.1 request `POST /echo` with this body.
func echo(_ body: String, _ fields: String = "") -> String {
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
}
