import HTTP
import Multiformats
import Reactor

/// The server of JSON-RPC: `POST /rpc/v1` and `GET /api/v1/health` over HTTP (docs/wire.md, section 10).
///
/// It runs on a loop of its own, so that no load on it delays a peer, and reaches the node only through `RPCDispatcher`.
public final class RPCServer: Sendable {
    /// What a client may cost.
    public typealias Limits = HTTPServer.Limits

    /// Why the server did not start: one line.
    public struct StartError: Error, CustomStringConvertible {
        /// One line that names the address.
        public let description: String
    }

    /// Any page of any origin may ask; what is answered is public.
    private static let commonFields: StaticString = """
        access-control-allow-origin: *\r
        access-control-allow-methods: POST, GET, OPTIONS\r
        access-control-allow-headers: content-type\r\n
        """

    /// Descriptors that are for peers and files, unless that would be more than half of what there is.
    private static let otherDescriptors = 1_024

    private let loop: EventLoop
    private let http: HTTPServer

    /// The port listened on, which is the chosen one where 0 was asked for.
    public let port: Int

    private init(_ loop: EventLoop, _ http: HTTPServer) {
        self.loop = loop
        self.http = http
        port = Int(http.localAddress.port)
    }

    /// Listens on each `host:port`, where an IPv6 address stands in brackets, on a loop with a driver of that kind, or of the
    /// environment's. Raises the process's limit of descriptors, and stays below it with its connections.
    public static func start(
        listen: [String], limits: Limits, driver: Reactor.DriverKind? = nil, dispatcher: RPCDispatcher
    ) async throws(StartError) -> RPCServer {
        var limits = limits
        let descriptors = DescriptorLimit.raise()
        limits.maximumConnections = min(
            limits.maximumConnections, max(descriptors / 2, descriptors - otherDescriptors))
        var addresses: [SocketAddress] = []
        for text in listen { addresses.append(try await address(text)) }
        do {
            let loop = try EventLoop.start(driver, name: "apus-http")
            do {
                let http = try await loop.run { [limits, addresses] in
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
            throw StartError(description: "cannot listen on \(all) for JSON-RPC (rpc.listen): \(error)")
        }
    }

    private static func address(_ text: String) async throws(StartError) -> SocketAddress {
        do {
            let place = try HostPort(text)
            if let address = try await Resolver.resolve(host: place.host, port: place.port).first {
                return address
            }
            throw ReactorError.nameNotResolved(place.host)
        } catch let error as HostPort.Failure {
            throw StartError(description: "rpc.listen: \"\(text)\" \(error)")
        } catch {
            throw StartError(description: "rpc.listen: \"\(text)\": \(error)")
        }
    }

    /// Stops listening and closes every connection.
    public func stop() async {
        await loop.perform { [http] in await http.stop() }
        loop.stop()
    }

    /// What is served, for a server on any loop.
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
    /// As HTTP has it.
    var response: HTTPResponse {
        HTTPResponse(status: status, contentType: status == 204 ? nil : "application/json", body: body)
    }
}
