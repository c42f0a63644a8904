import HTTP
import Node
import Reactor

/// The JSON-RPC server: `POST /rpc/v1` and `GET /api/v1/health` over HTTP (docs/wire.md, section 10).
///
/// It runs on its own event loop, so that no load on it delays a peer, and reaches the node only through
/// `RPCDispatcher`.
public final class RPCServer: Sendable {
    /// The limits on one client and on all clients.
    public typealias Limits = HTTPServer.Limits

    /// Pages of any origin may call: the answers are public.
    private static let commonFields: StaticString = """
        access-control-allow-origin: *\r
        access-control-allow-methods: POST, GET, OPTIONS\r
        access-control-allow-headers: content-type\r\n
        """

    /// The number of descriptors reserved for peers and files, though never more than half of them all.
    private static let otherDescriptors = 1_024

    private let loop: EventLoop
    private let http: HTTPServer

    /// The port the server listens on: the one the kernel chose if port 0 was requested.
    public let port: Int

    private init(_ loop: EventLoop, _ http: HTTPServer) {
        self.loop = loop
        self.http = http
        port = Int(http.localAddress.port)
    }

    /// Listens on each `host:port` on an event loop of its own. IPv6 addresses need brackets.
    ///
    /// Raises the process's descriptor limit and caps the number of connections below it.
    ///
    /// - Parameter driver: the loop's driver; nil for the one that the environment names.
    /// - Throws: `NodeError.failed`, which names the address.
    public static func start(
        listen: [String], limits: Limits, driver: Reactor.DriverKind? = nil, dispatcher: RPCDispatcher
    ) async throws(NodeError) -> RPCServer {
        var limits = limits
        let descriptors = DescriptorLimit.raise()
        limits.maximumConnections = min(
            limits.maximumConnections, max(descriptors / 2, descriptors - otherDescriptors))
        let addresses = try await Configuration.resolve(listen, of: "rpc.listen")
        do {
            let loop = try EventLoop.start(driver, name: "apus-http")
            do {
                let http = try await loop.run { [limits] in
                    try HTTPServer.start(
                        on: addresses, limits: limits, routes: routes(dispatcher), commonFields: commonFields,
                        tooLarge: RPCReply.tooLarge(limit: limits.maximumBodySize).response)
                }
                return RPCServer(loop, http)
            } catch {
                loop.stop()
                throw error
            }
        } catch {
            let all = listen.joined(separator: ", ")
            throw .failed("cannot listen on \(all) for JSON-RPC (rpc.listen): \(error)")
        }
    }

    /// Calls `body` on the server's thread when it next gets to it: at once, unless the thread is stuck.
    public func onNextTurn(_ body: @escaping @Sendable () -> Void) { loop.call { body() } }

    /// Stops listening and closes every connection.
    public func stop() async {
        await loop.perform { [http] in await http.stop() }
        loop.stop()
    }

    /// Returns the routes, which work on any loop.
    static func routes(_ dispatcher: RPCDispatcher) -> [HTTPRoute] {
        [
            HTTPRoute("/rpc/v1", [.post], late: RPCReply.timeout.response) { request in
                await dispatcher.respond(to: request.body, from: request.client, limit: request.replyLimit)
                    .response
            },
            HTTPRoute("/api/v1/health", [.get], late: RPCReply.timeout.response) { _ in
                await dispatcher.health().response
            },
        ]
    }
}

extension RPCReply {
    /// The reply as an HTTP response.
    var response: HTTPResponse {
        HTTPResponse(status: status, contentType: status == 204 ? nil : "application/json", body: body)
    }
}
