import Glibc
import Reactor

/// An HTTP/1.1 server (RFC 9110 and 9112) on the loop that starts it: each connection is one task, a straight-line
/// function that reads a request, asks its route's handler and sends the answer. See docs/architecture.md.
@ReactorActor
public final class HTTPServer {
    /// How long `stop` waits for requests that are being answered, and then for what is cancelled.
    private static let stopTime = Duration.seconds(1)

    /// How long a client that is refused may take to read that and to close.
    private static let refusalTime = Duration.seconds(1)

    /// The first address listened on; with the port that the kernel chose where 0 was asked for.
    public nonisolated let localAddress: SocketAddress
    /// Connections refused because there were too many.
    public private(set) var refusals: UInt64 = 0

    let limits: Limits
    /// Fields of every answer, each with its line end.
    let commonFields: StaticString
    /// Bytes of requests that connections hold beyond their own share.
    var heldBytes = 0
    /// Bytes of replies queued: never less than there are, and counted anew when that seems too much.
    var queuedBytes = 0
    private(set) var isStopping = false

    /// What a client gets whose request's body is larger than the limit.
    let tooLarge: HTTPResponse
    private let routes: [HTTPRoute]
    private let allow: [UInt8]
    private let wallClock: @Sendable () -> Int64
    private var date = HTTPDate()
    private var listeners: [TCPListener] = []
    private var lastCount = Duration.zero
    private var stopWaiter: UnsafeContinuation<Void, Never>?

    // What is open, counted by being here: put in by `accepted` and `refuse`, taken out by `left` and at the refusal's end.
    private var connections: [ObjectIdentifier: HTTPServerConnection] = [:]
    private var shares: [SocketAddress: ClientShare] = [:]
    private var refusing = 0

    private init(
        _ listen:
            @ReactorActor (@escaping @ReactorActor (TCPConnection) -> Void) throws(ReactorError) ->
            [TCPListener],
        _ limits: Limits, _ routes: [HTTPRoute], _ commonFields: StaticString, _ tooLarge: HTTPResponse?,
        _ wallClock: @escaping @Sendable () -> Int64
    ) throws(ReactorError) {
        self.tooLarge = tooLarge ?? HTTPResponse(413, HTTPError.bodyTooLarge.description)
        self.limits = limits
        self.routes = routes
        self.commonFields = commonFields
        self.wallClock = wallClock
        var methods = routes.flatMap(\.methods) + [.options]
        methods = methods.enumerated().filter { methods.firstIndex(of: $1) == $0 }.map(\.element)
        allow = HTTPField.allow(methods)
        let accept = Acceptor()
        let listening = try listen { accept.accepted($0) }
        guard let first = listening.first else { throw .invalidAddress("none to listen on") }
        listeners = listening
        localAddress = first.localAddress
        accept.server = self
    }

    /// Lets the listener know the server, which does not exist yet when listening begins.
    @ReactorActor
    private final class Acceptor {
        weak var server: HTTPServer?

        func accepted(_ tcp: TCPConnection) {
            if let server { server.accepted(tcp) } else { tcp.abort() }
        }
    }

    /// Listens on every one of `addresses` and serves `routes` until `stop`. Every answer has `commonFields`, each with its line end. A
    /// request whose body is larger than the limit is answered by `tooLarge` before it is read.
    /// `wallClock` tells seconds since 1970, for the Date field. Throws what the kernel says against the address.
    public static func start(
        on addresses: [SocketAddress], limits: Limits = Limits(), routes: [HTTPRoute],
        commonFields: StaticString = "", tooLarge: HTTPResponse? = nil,
        wallClock: @escaping @Sendable () -> Int64 = HTTPServer.systemClock
    ) throws(ReactorError) -> HTTPServer {
        try HTTPServer(
            { accept throws(ReactorError) in try listen(on: addresses, accept) },
            limits, routes, commonFields, tooLarge, wallClock)
    }

    /// All or none.
    private static func listen(
        on addresses: [SocketAddress], _ accept: @escaping @ReactorActor (TCPConnection) -> Void
    ) throws(ReactorError) -> [TCPListener] {
        var listeners: [TCPListener] = []
        for address in addresses {
            // An address of its own for IPv4 on the port is not taken away by one for both families.
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

    /// As the other `start`, on one address.
    public static func start(
        on address: SocketAddress, limits: Limits = Limits(), routes: [HTTPRoute],
        commonFields: StaticString = "", wallClock: @escaping @Sendable () -> Int64 = HTTPServer.systemClock
    ) throws(ReactorError) -> HTTPServer {
        try start(
            on: [address], limits: limits, routes: routes, commonFields: commonFields, wallClock: wallClock)
    }

    /// As the other `start`, on a socket that somebody else has bound; the server closes it.
    public static func start(
        descriptor: Int32, limits: Limits = Limits(), routes: [HTTPRoute],
        commonFields: StaticString = "", wallClock: @escaping @Sendable () -> Int64 = HTTPServer.systemClock
    ) throws(ReactorError) -> HTTPServer {
        try HTTPServer(
            { accept throws(ReactorError) in [try TCPListener.listen(descriptor: descriptor, accept: accept)]
            },
            limits, routes, commonFields, nil, wallClock)
    }

    /// The machine's clock, in seconds since 1970.
    public nonisolated static let systemClock: @Sendable () -> Int64 = {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &time)
        return Int64(time.tv_sec)
    }

    /// Connections open now.
    public var connectionCount: Int { connections.count }

    /// Stops listening, lets requests that are being answered end, for a second at most, and closes every connection.
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
        share.connections += 1
        shares[network] = share
        connection.task = Reactor.spawn { [self] in
            await connection.serve()
            left(connection)
        }
    }

    /// Whether there is room for one more connection. When there is none, the address with the most gives one up that
    /// rests, unless it is the newcomer's: a few addresses cannot keep all others out.
    private func makeRoom(for share: ClientShare) -> Bool {
        guard connections.count >= limits.maximumConnections else { return true }
        // Those given up are still here until they have ended.
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
        connection.share.connections -= 1
        if connection.share.connections == 0 { shares[connection.share.address] = nil }
        if connections.isEmpty { wakeStop() }
    }

    /// Tells the client to come again later, unless that too is asked of too many.
    private func refuse(_ tcp: TCPConnection) {
        refusals &+= 1
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

    /// The route for a request, or the answer that it gets in the place of one.
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

    /// Bytes of replies that may still be queued for the clients of an address; none while slow clients hold too many.
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

    /// Whether clients hold too many bytes of requests, or those of this address do.
    func isOverloaded(_ share: ClientShare) -> Bool {
        heldBytes > limits.maximumHeldBytes
            || share.heldBytes > limits.share(of: limits.maximumHeldBytes, share.address)
    }

    // MARK: Sending

    /// Queues an answer; returns its bytes.
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
