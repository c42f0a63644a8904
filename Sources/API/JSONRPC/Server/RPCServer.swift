import Chain
import HTTP
import Node
import Reactor

/// The HTTP server: `POST /rpc/v1`, `GET /api/v1/health`, `/health` and `/ready` (docs/wire.md, section 10) and, on addresses
/// of its own, `GET /metrics` (docs/operate/metrics.md).
///
/// It runs on its own event loop, so that no load on it delays a peer, and reaches the node only through
/// `RPCDispatcher`.
public final class RPCServer: Sendable {
    /// The limits on requests, and on one client and all clients.
    public struct Limits: Sendable {
        /// Those of the HTTP server.
        public var http = HTTPServer.Limits()
        /// Those on a request's time.
        public var times = RPCDispatcher.Limits()

        /// The defaults.
        public init() {}

        /// Creates the limits of a configuration, on a chain with these parameters.
        public init(_ configuration: Configuration.RPC, _ parameters: NetworkParameters) {
            http.maximumBodySize = configuration.requestLimit(parameters)
            http.maximumConnections = configuration.maxConnections
            http.maximumConnectionsPerAddress = configuration.maxConnectionsPerAddress
            times.timeout = configuration.timeout
            times.commitTimeout = configuration.broadcastTxTimeout
            // The dispatcher has earlier deadlines of its own; this one covers everything else.
            http.requestTime = times.timeout + times.commitTimeout + .seconds(5)
        }

        /// Caps the number of connections below the process's descriptor limit, which it raises.
        fileprivate func withinDescriptors() -> Limits {
            var limits = self
            let descriptors = DescriptorLimit.raise()
            limits.http.maximumConnections = min(
                http.maximumConnections, max(descriptors / 2, descriptors - RPCServer.otherDescriptors))
            return limits
        }
    }

    /// Pages of any origin may call: the answers are public.
    private static let commonFields: StaticString = """
        access-control-allow-origin: *\r
        access-control-allow-methods: POST, GET, OPTIONS\r
        access-control-allow-headers: content-type\r\n
        """

    /// The number of descriptors reserved for peers and files, though never more than half of them all.
    private static let otherDescriptors = 1_024

    /// The loop that serves clients.
    package let loop: EventLoop
    private let http: HTTPServer
    private let metrics: HTTPServer?
    private let dispatcher: RPCDispatcher

    /// The port the server listens on: the one the kernel chose if port 0 was requested.
    public let port: Int
    /// The port of the metrics; nil if they are not served.
    public let metricsPort: Int?

    private init(
        _ loop: EventLoop, _ http: HTTPServer, _ metrics: HTTPServer?, _ dispatcher: RPCDispatcher
    ) {
        self.loop = loop
        self.http = http
        self.metrics = metrics
        self.dispatcher = dispatcher
        metricsPort = metrics.map { Int($0.localAddress.port) }
        port = Int(http.localAddress.port)
    }

    /// Listens on each `host:port` on an event loop of its own. IPv6 addresses need brackets.
    ///
    /// Raises the process's descriptor limit and caps the number of connections below it.
    ///
    /// - Parameters:
    ///   - passed: sockets that a service manager has bound, to serve instead of `listen`; the server takes them over.
    ///   - driver: the loop's driver; nil for the one that the environment names.
    ///   - metrics: the metrics and their addresses; nil if they are not served.
    /// - Throws: `NodeError.failed`, which names the address.
    public static func start(
        listen: [String], passed: [Int32] = [], limits: Limits, driver: Reactor.DriverKind? = nil,
        dispatcher: RPCDispatcher, metrics: MetricsEndpoint? = nil
    ) async throws(NodeError) -> RPCServer {
        let limits = limits.withinDescriptors()
        let addresses = passed.isEmpty ? try await Configuration.resolve(listen, of: "rpc.listen") : []
        let loop: EventLoop
        let http: HTTPServer
        do {
            loop = try EventLoop.start(driver, name: "apus-http")
            loop.metrics.add(to: dispatcher.metrics.registry, loop: "clients")
        } catch {
            throw .failed("cannot start the event loop of the HTTP server: \(error)")
        }
        do {
            http = try await loop.run {
                dispatcher.limits = limits.times
                return try HTTPServer.start(
                    on: addresses, passed: passed, limits: limits.http, routes: routes(dispatcher),
                    commonFields: commonFields, tooLarge: limits.tooLarge, metrics: dispatcher.metrics.http)
            }
        } catch {
            loop.stop()
            guard passed.isEmpty else {
                throw .failed("cannot serve JSON-RPC on the sockets of the service manager: \(error)")
            }
            let all = listen.joined(separator: ", ")
            throw .failed("cannot listen on \(all) for JSON-RPC (rpc.listen): \(error)")
        }
        do {
            return RPCServer(loop, http, try await metrics?.start(on: loop), dispatcher)
        } catch {
            loop.stop()
            throw error
        }
    }

    /// Changes the limits for requests that arrive from now on; connections stay open.
    public func change(_ limits: Limits) async {
        let limits = limits.withinDescriptors()
        await loop.perform { [http, dispatcher] in
            dispatcher.limits = limits.times
            http.change(limits.http, tooLarge: limits.tooLarge)
        }
    }

    /// Calls `body` on the server's thread when it next gets to it: at once, unless the thread is stuck.
    public func onNextTurn(_ body: @escaping @Sendable () -> Void) { loop.call { body() } }

    /// Stops listening and closes every connection.
    public func stop() async {
        await loop.perform { [http, metrics] in
            await metrics?.stop()
            await http.stop()
        }
        loop.stop()
    }

    /// How long the node may take to answer a probe.
    private static let probeTime = Duration.seconds(5)
    private static let deaf = HTTPResponse(status: 503, line: "the node's event loop does not answer")

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
            HTTPRoute("/health", [.get], time: probeTime, late: deaf) { _ in await dispatcher.liveness() },
            HTTPRoute("/ready", [.get], time: probeTime, late: deaf) { _ in await dispatcher.readiness() },
        ]
    }
}

extension RPCServer.Limits {
    /// The response to a request whose body exceeds the limit.
    fileprivate var tooLarge: HTTPResponse { RPCReply.tooLarge(limit: http.maximumBodySize).response }
}

extension RPCReply {
    /// The reply as an HTTP response.
    var response: HTTPResponse {
        HTTPResponse(status: status, contentType: status == 204 ? nil : "application/json", body: body)
    }
}
