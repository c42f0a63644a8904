import Bytes
import CShims
import Reactor

/// A client's connection: serves its requests one after another.
final class HTTPServerConnection: HTTPConnection {
    /// What the server or the client waits for; each phase has its time limit.
    private enum Phase {
        /// Waiting for the first byte of the next request.
        case idle
        case header
        case body
        /// Waiting for the handler.
        case handling
        /// Waiting for the client to read replies before it gets more.
        case draining
        /// Waiting for the client to close, after all responses were sent. The answer of a handler that returns only now is
        /// discarded.
        case ending
    }

    /// How often to probe a client that has closed its side while its request is handled; a client that is
    /// gone answers with a reset.
    private static let probeInterval = Duration.seconds(1)
    private static let continueLine: StaticString = "HTTP/1.1 100 Continue\r\n\r\n"

    /// The task that runs `serve`.
    var task: Task<Void, Never>?

    /// The resources used by the clients of its address.
    let share: ClientShare
    private let server: HTTPServer
    private let request: HTTPRequest
    private var route: HTTPRoute?
    private var isHTTP10 = false
    private var keepsAlive = true
    private var phase = Phase.idle
    private var phaseStart = Duration.zero
    private var timer: Timer?
    /// The bytes of requests charged to the server.
    private var charged = 0
    /// The number of bytes the client had acknowledged at the last check, and when it last changed.
    private var taken = 0
    private var lastTaken = Duration.zero
    /// When the client last sent anything.
    private var lastReceived = Duration.zero

    init(_ tcp: TCPConnection, _ parser: HTTPParser, _ server: HTTPServer, _ share: ClientShare) {
        self.server = server
        self.share = share
        request = HTTPRequest(parser, from: share.address)
        super.init(tcp, parser)
    }

    // MARK: The dialogue

    /// Serves requests until either side ends the connection. Returns once it is closed.
    func serve() async {
        tcp.delegate = self
        enter(.idle)
        arm()
        do throws(HTTPError) {
            while keepsAlive, try await receiveHeader() {
                try await answer()
                enter(.idle)
            }
        } catch {
            refuse(error)
        }
        beginEnd()
        await untilClosed()
        timer?.cancel()
        charge(0)
    }

    private func answer() async throws(HTTPError) {
        let head = parser.head
        isHTTP10 = head.version == 10
        keepsAlive = head.keeps_alive && !server.isStopping
        let refusal = decide(head)
        if parser.state != .complete {
            if refusal != nil { parser.dropBody() }
            if head.expect.count > 0, !isHTTP10 {
                // Without the body, the start of the next request is unknown.
                if let refusal {
                    keepsAlive = false
                    return send(refusal)
                }
                sendContinue()
            }
            enter(.body)
            try await receiveBody()
        }
        if let refusal {
            send(refusal)
        } else if let route {
            await answer(route)
        }
        guard phase != .ending else { return }
        parser.reset()
        request.body = []
        if charged > 0 { charge(heldBytes) }
        if tcp.isAboveHighWater {
            enter(.draining)
            await drain()
        }
    }

    /// Finds the request's route, or returns the response that rejects it.
    private func decide(_ head: apus_http_head) -> HTTPResponse? {
        guard request.begin() else {
            keepsAlive = false
            return HTTPResponse(400, "the target is malformed")
        }
        let (route, refusal) = server.route(request)
        self.route = route
        if let refusal { return refusal }
        if head.expect.count > 0, !isHTTP10, !head.expect.buffer.equalsIgnoringCase("100-continue") {
            return HTTPResponse(417, "the expectation is not supported")
        }
        if head.content_encoding.count > 0, !head.content_encoding.buffer.equalsIgnoringCase("identity") {
            return HTTPResponse(415, "the content coding is not supported", fields: HTTPField.acceptEncoding)
        }
        guard server.replyRoom(share) > 0 else {
            return HTTPResponse(503, "too many replies are queued for slow clients")
        }
        return nil
    }

    private func answer(_ route: HTTPRoute) async {
        enter(.handling)
        if hasPeerEnded { probe() }
        request.body = parser.takeBody()
        request.replyLimit = min(server.limits.maximumReplySize, server.replyRoom(share))
        let response = await route.handler(request)
        if phase != .ending { send(response) }
    }

    /// Responds to an invalid or late request.
    private func refuse(_ error: HTTPError) {
        keepsAlive = false
        switch error {
        case .malformed, .truncated: send(HTTPResponse(400, error.description))
        case .requestLineTooLong: send(HTTPResponse(414, error.description))
        case .headerTooLarge: send(HTTPResponse(431, error.description))
        case .bodyTooLarge: send(server.tooLarge)
        case .unsupportedVersion: send(HTTPResponse(505, error.description))
        case .unsupportedTransferCoding: send(HTTPResponse(501, error.description))
        case .timedOut: send(HTTPResponse(408, "the request did not arrive in time"))
        case .overloaded, .outOfMemory:
            send(HTTPResponse(503, error.description))
        case .closed, .cancelled, .connection: break
        }
    }

    /// Closes this side once the queue is sent, and discards input until the client closes its own.
    private func beginEnd() {
        guard !isClosed, phase != .ending else { return }
        enter(.ending)
        dropRest()
        charge(0)
        if server.isStopping { tcp.close() } else { tcp.closeWrite() }
    }

    // MARK: Sending

    private func send(_ response: HTTPResponse) {
        let persistence: HTTPPersistence = keepsAlive ? (isHTTP10 ? .keepAlive : .implied) : .close
        note(server.send(response, on: tcp, withBody: request.method != .head, persistence))
    }

    private func sendContinue() {
        let line = Self.continueLine
        tcp.send(UnsafeRawBufferPointer(start: line.utf8Start, count: line.utf8CodeUnitCount))
        note(line.utf8CodeUnitCount)
    }

    private func note(_ bytes: Int) {
        server.metrics.sent.add(UInt64(bytes))
        server.queuedBytes += bytes
        share.queuedBytes += bytes
    }

    // MARK: The connection's side

    override func received(_ bytes: UnsafeMutableRawBufferPointer) {
        super.received(bytes)
        server.metrics.received.add(UInt64(bytes.count))
        lastReceived = Reactor.now
        if phase == .idle, parser.hasBegun { enter(.header) }
        let held = heldBytes
        guard held > HTTPServer.Limits.heldBytesOfOne, held > charged else { return }
        charge(held)
        if server.isOverloaded(share) { fail(.overloaded) }
    }

    override func peerClosedWrite() {
        super.peerClosedWrite()
        if phase == .handling { probe() }
    }

    override func closed(_ error: ReactorError?) {
        super.closed(error)
        task?.cancel()
    }

    private func charge(_ bytes: Int) {
        server.heldBytes += bytes - charged
        share.heldBytes += bytes - charged
        charged = bytes
    }

    /// Probes a client that has closed its side, which may wait for the response or be gone. An interim
    /// response, which every HTTP/1.1 client must accept (RFC 9110, section 15.2), makes the kernel of a
    /// vanished client reset the connection.
    private func probe() {
        guard !isHTTP10 else { return }
        Reactor.schedule(after: Self.probeInterval) { [weak self] in
            guard let self, self.phase == .handling, !self.isClosed else { return }
            self.sendContinue()
            self.probe()
        }
    }

    /// Called when the server stops: accepts no further request and does not wait for the client to close.
    func stop() {
        keepsAlive = false
        switch phase {
        case .idle, .header, .body: fail(.closed)
        case .handling, .draining: break
        case .ending: tcp.close()
        }
    }

    /// The time since which closing the connection would lose nothing in progress; nil while it would.
    var restingSince: Duration? {
        guard !isClosed else { return nil }
        return switch phase {
        case .idle, .header, .ending: phaseStart
        case .body, .handling, .draining: nil
        }
    }

    /// Ends the connection at once. Called when the server has stopped or needs room.
    func abandon() {
        task?.cancel()
        tcp.abort()
    }

    // MARK: Time

    private func enter(_ phase: Phase) {
        self.phase = phase
        phaseStart = Reactor.now
    }

    private var limit: Duration {
        let limits = server.limits
        return switch phase {
        case .idle: parser.hasBegun ? limits.headerTime : limits.idleTime
        case .header: limits.headerTime
        case .body: limits.bodyTime
        case .handling: route?.time ?? limits.requestTime
        case .draining: limits.stallTime
        case .ending: limits.lingerTime
        }
    }

    /// When the phase's time is up. A client that reads no response before it has sent its whole request may
    /// keep sending while the server waits for it to close, for as long as a body may take.
    private var phaseEnd: Duration {
        guard phase == .ending, lastReceived > phaseStart else { return phaseStart + limit }
        return min(lastReceived + limit, phaseStart + max(limit, server.limits.bodyTime))
    }

    /// Schedules the next check for the end of the phase, but at least so often that no later phase can
    /// expire unnoticed: the timer need not change with every request.
    private func arm() {
        let left = max(.zero, phaseEnd - Reactor.now)
        timer = Reactor.schedule(after: min(left, server.limits.shortestTime)) { [weak self] in
            guard let self, !self.isClosed else { return }
            self.look()
            self.arm()
        }
    }

    private func look() {
        let now = Reactor.now
        let waiting = tcp.unacknowledgedBytes
        let acknowledged = tcp.acknowledgedBytes
        if waiting == 0 || acknowledged > taken {
            taken = acknowledged
            lastTaken = now
        } else if now - lastTaken >= server.limits.stallTime {
            return tcp.abort()
        }
        // The time of these phases begins once the client has acknowledged everything.
        if waiting > 0, phase == .ending || phase == .draining || phase == .idle { phaseStart = now }
        guard now >= phaseEnd else { return }
        switch phase {
        case .idle where !parser.hasBegun: fail(.closed)
        case .idle, .header, .body: fail(.timedOut)
        case .handling: answerLate()
        case .draining: break
        case .ending: tcp.abort()
        }
    }

    private func answerLate() {
        keepsAlive = false
        if let route { send(route.late) }
        beginEnd()
        task?.cancel()
    }
}
