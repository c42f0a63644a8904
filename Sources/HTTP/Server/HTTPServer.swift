import Bytes
import Glibc
import Reactor

/// An HTTP/1.1 server (RFC 9110 and 9112) on the loop that starts it. Each connection is one task: a
/// straight-line function that reads a request, calls its route's handler and sends the response. See
/// docs/architecture.md.
@ReactorActor
public final class HTTPServer {
    /// How long `stop` waits for requests in progress, and then again for cancelled ones.
    private static let stopTime = Duration.seconds(1)

    /// How long a rejected client may take to read the response and close.
    private static let refusalTime = Duration.seconds(1)

    /// The first listening address, with the port the kernel chose if 0 was requested.
    public nonisolated let localAddress: SocketAddress
    nonisolated let metrics: HTTPMetrics
    private(set) var limits: Limits
    /// Fields of every response, each ending in CR LF.
    let commonFields: StaticString
    /// Bytes of requests held beyond each connection's own allowance.
    var heldBytes = 0
    /// Bytes of replies queued: an upper bound, counted exactly when it seems too high.
    var queuedBytes = 0
    private(set) var isStopping = false

    /// The response to a request whose body exceeds the limit.
    private(set) var tooLarge: HTTPResponse
    private let routes: [HTTPRoute]
    private let allow: [UInt8]
    private let wallClock: @Sendable () -> Int64
    private var date = HTTPDate()
    private var listeners: [TCPListener] = []
    private var lastCount = Duration.zero
    private var stopWaiter: UnsafeContinuation<Void, Never>?

    // The open connections. `accepted` and `refuse` add them; `left` and the end of a rejection remove them.
    private var connections: [ObjectIdentifier: HTTPServerConnection] = [:]
    private var shares: [SocketAddress: ClientShare] = [:]
    private var refusing = 0

    private init(
        _ addresses: [SocketAddress], _ passed: [Int32], _ limits: Limits, _ routes: [HTTPRoute],
        _ commonFields: StaticString, _ tooLarge: HTTPResponse?, _ metrics: HTTPMetrics,
        _ wallClock: @escaping @Sendable () -> Int64
    ) throws(ReactorError) {
        self.metrics = metrics
        self.tooLarge = tooLarge ?? HTTPResponse(413, HTTPError.bodyTooLarge.description)
        self.limits = limits
        self.routes = routes
        self.commonFields = commonFields
        self.wallClock = wallClock
        var methods = routes.flatMap(\.methods) + [.options]
        methods = methods.enumerated().filter { methods.firstIndex(of: $1) == $0 }.map(\.element)
        allow = HTTPField.allow(methods)
        let accept = Acceptor()
        let listening = try Self.listen(on: addresses, passed) { accept.accepted($0) }
        guard let first = listening.first else { throw .invalidAddress("no address to listen on") }
        listeners = listening
        localAddress = first.localAddress
        accept.server = self
    }

    /// Connects listeners to the server, which does not exist yet when listening begins.
    @ReactorActor
    private final class Acceptor {
        weak var server: HTTPServer?

        func accepted(_ tcp: TCPConnection) {
            if let server { server.accepted(tcp) } else { tcp.abort() }
        }
    }

    /// Listens on all `addresses` and on all `passed` sockets, whose descriptors it takes over, and serves `routes` until `stop`. Every response carries `commonFields`,
    /// each ending in CR LF. A request whose body exceeds the limit gets `tooLarge` before its body is read.
    /// `wallClock` returns seconds since 1970 for the Date field. Throws if the kernel rejects an address.
    public static func start(
        on addresses: [SocketAddress], passed: [Int32] = [], limits: Limits = Limits(), routes: [HTTPRoute],
        commonFields: StaticString = "", tooLarge: HTTPResponse? = nil, metrics: HTTPMetrics = HTTPMetrics(),
        wallClock: @escaping @Sendable () -> Int64 = HTTPServer.systemClock
    ) throws(ReactorError) -> HTTPServer {
        try HTTPServer(addresses, passed, limits, routes, commonFields, tooLarge, metrics, wallClock)
    }

    /// Listens on all addresses and sockets or none.
    private static func listen(
        on addresses: [SocketAddress], _ passed: [Int32],
        _ accept: @escaping @ReactorActor (TCPConnection) -> Void
    ) throws(ReactorError) -> [TCPListener] {
        var listeners: [TCPListener] = []
        for (index, descriptor) in passed.enumerated() {
            do throws(ReactorError) {
                listeners.append(try TCPListener.listen(passed: descriptor, accept: accept))
            } catch {
                for listener in listeners { listener.close() }
                for later in passed[(index + 1)...] { Glibc.close(later) }
                throw error
            }
        }
        for address in addresses {
            // A listener for both families must not take over a port that has an IPv4 listener of its own.
            let takesIPv4 = !addresses.contains { !$0.isIPv6 && $0.port == address.port }
            do throws(ReactorError) {
                listeners.append(
                    try TCPListener.listen(on: address, takesIPv4: takesIPv4, accept: accept))
            } catch {
                for listener in listeners { listener.close() }
                throw error
            }
        }
        return listeners
    }

    /// The system clock, in seconds since 1970.
    public nonisolated static let systemClock: @Sendable () -> Int64 = {
        Duration.now(CLOCK_REALTIME_COARSE).components.seconds
    }

    /// The number of open connections.
    public var connectionCount: Int { connections.count }

    /// Changes the limits. Open connections stay, and keep the limits on headers and bodies that they began with.
    public func change(_ limits: Limits, tooLarge: HTTPResponse) {
        self.limits = limits
        self.tooLarge = tooLarge
    }

    /// Stops listening, gives requests in progress a second to finish, and closes every connection.
    public func stop() async {
        guard !isStopping else { return }
        isStopping = true
        for listener in listeners { listener.close() }
        listeners = []
        for connection in connections.values { connection.stop() }
        await untilEmpty()
        for connection in connections.values { connection.abandon() }
        await untilEmpty()
    }

    private func untilEmpty() async {
        guard !connections.isEmpty else { return }
        let limit = Reactor.schedule(after: Self.stopTime) { [weak self] in self?.wakeStop() }
        await withUnsafeContinuation { stopWaiter = $0 }
        limit.cancel()
    }

    private func wakeStop() {
        stopWaiter?.resume()
        stopWaiter = nil
    }

    // MARK: Connections

    private func accepted(_ tcp: TCPConnection) {
        let network = tcp.remoteAddress.network
        let share = shares[network] ?? ClientShare(network)
        let isCrowded =
            share.connections >= limits.maximumConnectionsPerAddress && !network.isLoopback
        guard !isStopping, !isCrowded, makeRoom(for: share),
            let parser = try? HTTPParser(
                .requests, headerLimit: limits.maximumHeaderSize, bodyLimit: limits.maximumBodySize)
        else { return refuse(tcp) }
        let connection = HTTPServerConnection(tcp, parser, self, share)
        connections[ObjectIdentifier(connection)] = connection
        metrics.connections.add(1)
        share.connections += 1
        shares[network] = share
        connection.task = Reactor.spawn { [self] in
            await connection.serve()
            left(connection)
        }
    }

    /// Returns whether there is room for another connection. If there is none, the address with the most
    /// connections gives up an idle one, unless the newcomer has as many: a few addresses cannot lock out all
    /// others.
    private func makeRoom(for share: ClientShare) -> Bool {
        guard connections.count >= limits.maximumConnections else { return true }
        // Abandoned connections count until they have ended.
        guard connections.count < limits.maximumConnections + limits.maximumRefusals,
            let most = shares.values.map(\.connections).max(), most > share.connections + 1
        else { return false }
        let resting = connections.values.compactMap { connection -> (HTTPServerConnection, Duration)? in
            guard connection.share.connections == most else { return nil }
            return connection.restingSince.map { (connection, $0) }
        }
        guard let longest = resting.min(by: { $0.1 < $1.1 }) else { return false }
        longest.0.abandon()
        return true
    }

    private func left(_ connection: HTTPServerConnection) {
        connections[ObjectIdentifier(connection)] = nil
        metrics.connections.add(-1)
        connection.share.connections -= 1
        if connection.share.connections == 0 { shares[connection.share.address] = nil }
        if connections.isEmpty { wakeStop() }
    }

    /// Responds with 503, unless too many clients are being rejected already.
    private func refuse(_ tcp: TCPConnection) {
        metrics.refusals.add()
        guard refusing < limits.maximumRefusals else { return tcp.abort() }
        refusing += 1
        let limit = Reactor.schedule(after: Self.refusalTime) { tcp.abort() }
        tcp.delegate = Refusal { [weak self] in
            limit.cancel()
            self?.refusing -= 1
        }
        send(HTTPResponse(503, "too many connections"), on: tcp, .close)
        tcp.closeWrite()
    }

    private final class Refusal: TCPConnectionDelegate {
        private let ended: @ReactorActor () -> Void

        nonisolated init(_ ended: @escaping @ReactorActor () -> Void) { self.ended = ended }

        override func closed(_ error: ReactorError?) { ended() }
    }

    // MARK: Requests

    /// Returns the route for a request, or the response that rejects it.
    func route(_ request: HTTPRequest) -> (route: HTTPRoute?, refusal: HTTPResponse?) {
        switch request.method {
        case .connect, .trace, .other: return (nil, HTTPResponse(501, "the method is not implemented"))
        case .options where request.isForServer: return (nil, HTTPResponse(204, fields: allow))
        default: break
        }
        guard let route = routes.first(where: { request.isPath($0.path) }) else {
            return (
                nil,
                request.method == .options ? HTTPResponse(204, fields: allow) : HTTPResponse(404, "not found")
            )
        }
        if request.method == .options { return (nil, HTTPResponse(204, fields: route.allow)) }
        guard route.methods.contains(request.method) else {
            return (nil, HTTPResponse(405, "the method is not allowed", fields: route.allow))
        }
        return (route, nil)
    }

    /// Returns how many bytes of replies may still be queued for the clients of an address; 0 while slow
    /// clients hold too many.
    func replyRoom(_ share: ClientShare) -> Int {
        if queuedBytes > limits.maximumQueuedBytes, Reactor.now - lastCount >= .milliseconds(10) {
            lastCount = Reactor.now
            queuedBytes = connections.values.reduce(0) { $0 + $1.tcp.queuedBytes }
        }
        let own = limits.share(of: limits.maximumQueuedBytes, share.address)
        if share.queuedBytes > own, Reactor.now - share.lastCount >= .milliseconds(10) {
            share.lastCount = Reactor.now
            share.queuedBytes = connections.values.reduce(0) {
                $1.share === share ? $0 + $1.tcp.queuedBytes : $0
            }
        }
        return max(0, min(limits.maximumQueuedBytes - queuedBytes, own - share.queuedBytes))
    }

    /// Returns whether all clients, or those of this address, hold too many bytes of requests.
    func isOverloaded(_ share: ClientShare) -> Bool {
        heldBytes > limits.maximumHeldBytes
            || share.heldBytes > limits.share(of: limits.maximumHeldBytes, share.address)
    }

    // MARK: Sending

    /// Queues a response. Returns its size in bytes.
    @discardableResult
    func send(
        _ response: HTTPResponse, on tcp: TCPConnection, withBody: Bool = true, _ persistence: HTTPPersistence
    ) -> Int {
        date.update(wallClock())
        let headRoom = HTTPResponse.headRoom + commonFields.utf8CodeUnitCount + response.fields.count
        let body = withBody && response.hasContent ? response.body : []
        let isShort = headRoom + body.count <= TCPConnection.largestReservation
        let room = tcp.reserve(isShort ? headRoom + body.count : headRoom)
        var count = response.writeHead(into: room, date: date.line, common: commonFields, persistence)
        if isShort {
            body.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: room[count...]).copyMemory(from: $0)
            }
            count += body.count
            tcp.commit(count)
            return count
        }
        tcp.commit(count)
        body.withUnsafeBytes { tcp.send($0) }
        return count + body.count
    }
}
