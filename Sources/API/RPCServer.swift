import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// The HTTP/1.1 server of JSON-RPC: `POST /rpc/v1` and `GET /api/v1/health` (docs/wire.md, section 9).
///
/// It runs on threads of its own and reaches the node only through `RPCDispatcher`.
public final class RPCServer: Sendable {
    /// What a client may cost.
    public struct Limits: Sendable {
        /// Largest request body in bytes.
        public var maximumRequestSize = 6_000_000
        /// Longest time from a whole request to its response, for whatever `RPCDispatcher.Limits` does not end.
        public var requestTimeout = Duration.seconds(40)
        /// A connection on which nothing is read for so long is closed, whether idle or sending a request slowly.
        public var idleTimeout = Duration.seconds(60)
        /// Connections at once; further ones are closed at once.
        public var maximumConnections = 1_024

        /// The defaults.
        public init() {}
    }

    /// Why the server did not start: one line.
    public struct StartError: Error, CustomStringConvertible {
        /// One line that names the address.
        public let description: String
    }

    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel

    /// The port listened on, which is the chosen one where 0 was asked for.
    public let port: Int

    private init(group: MultiThreadedEventLoopGroup, channel: any Channel) {
        self.group = group
        self.channel = channel
        port = channel.localAddress?.port ?? 0
    }

    /// Listens on `host:port`, where an IPv6 address stands in brackets.
    public static func start(
        listen: String, limits: Limits, dispatcher: RPCDispatcher
    ) async throws(StartError) -> RPCServer {
        guard let colon = listen.lastIndex(of: ":"),
            let port = UInt16(listen[listen.index(after: colon)...])
        else { throw StartError(description: "rpc.listen: \"\(listen)\" is not host:port") }
        let host = listen[..<colon].trimmingPrefix("[")
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let connections = ConnectionCount(limits.maximumConnections)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                guard connections.enter() else { return channel.close() }
                channel.closeFuture.whenComplete { _ in connections.leave() }
                return channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(
                        IdleStateHandler(readTimeout: .nanoseconds(limits.idleTimeout.nanoseconds)))
                    try pipeline.configureHTTPServerPipeline(
                        withPipeliningAssistance: true, withErrorHandling: true)
                    try pipeline.addHandler(
                        NIOHTTPServerRequestAggregator(maxContentLength: limits.maximumRequestSize))
                    try pipeline.addHandler(RPCChannelHandler(limits: limits, dispatcher: dispatcher))
                }
            }
        do {
            let host = host.hasSuffix("]") ? String(host.dropLast()) : String(host)
            let channel = try await bootstrap.bind(host: host, port: Int(port)).get()
            return RPCServer(group: group, channel: channel)
        } catch {
            try? await group.shutdownGracefully()
            let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            throw StartError(description: "cannot listen on \(listen) for JSON-RPC: \(reason)")
        }
    }

    /// Stops listening and closes every connection.
    public func stop() async {
        try? await channel.close()
        try? await group.shutdownGracefully()
    }
}

/// Open connections, counted against a limit.
private final class ConnectionCount: Sendable {
    private let count = Mutex(0)
    private let limit: Int

    init(_ limit: Int) { self.limit = limit }

    func enter() -> Bool {
        count.withLock { count in
            count += 1
            return count <= limit
        }
    }

    func leave() { count.withLock { $0 -= 1 } }
}

extension Duration {
    /// Whole nanoseconds, at most those of 292 years.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return .max }
        let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carry ? .max : sum
    }
}
