import CShims
import Reactor

/// A client of one HTTP/1.1 server that keeps its connection. Exchanges run one after another, on the loop that the
/// client was made on, or the process's default one; they may be asked for from anywhere.
public final class HTTPClient: Sendable {
    /// What a server may cost.
    public struct Limits: Sendable {
        /// Until there is a connection to one of the server's addresses.
        public var connectTime = Duration.seconds(5)
        /// From the beginning of an exchange to the whole response.
        public var exchangeTime = Duration.seconds(30)
        /// Bytes of a response's header.
        public var maximumHeaderSize = 64 * 1024
        /// Bytes of a response's body.
        public var maximumBodySize = 256 << 20

        /// The defaults.
        public init() {}
    }

    /// A response.
    public struct Reply: Sendable {
        /// The status code.
        public var status: Int
        /// The whole body, without its transfer coding.
        public var body: [UInt8]
    }

    private let loop: EventLoop
    private let session: HTTPSession

    /// A client of the server at `host`, a name or an IP address without brackets.
    public init(host: String, port: UInt16, limits: Limits = Limits()) {
        loop = Reactor.loop
        session = HTTPSession(host, port, limits)
    }

    /// Sends a request and returns its response, whatever its status. `path` begins with a slash. A connection that the
    /// server has closed since the last exchange is made anew, once.
    public func exchange(
        _ method: HTTPMethod, _ path: StaticString, contentType: StaticString? = nil, body: [UInt8] = []
    ) async throws(HTTPError) -> Reply {
        let session = session
        let result: Result<Reply, HTTPError> = await loop.perform {
            do throws(HTTPError) {
                return .success(try await session.exchange(method, path, contentType, body))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Closes the connection. A further exchange opens another.
    public func close() async {
        let session = session
        await loop.perform { session.close() }
    }
}

/// A client's connection, and the exchanges that wait for it.
@ReactorActor
final class HTTPSession {
    private let host: String
    private let port: UInt16
    private let limits: HTTPClient.Limits
    private var connection: HTTPClientConnection?
    private var isBusy = false
    private var waiting: [UnsafeContinuation<Void, Never>] = []

    nonisolated init(_ host: String, _ port: UInt16, _ limits: HTTPClient.Limits) {
        self.host = host
        self.port = port
        self.limits = limits
    }

    func close() {
        connection?.tcp.close()
        connection = nil
    }

    func exchange(
        _ method: HTTPMethod, _ path: StaticString, _ contentType: StaticString?, _ body: [UInt8]
    ) async throws(HTTPError) -> HTTPClient.Reply {
        if isBusy { await withUnsafeContinuation { waiting.append($0) } }
        isBusy = true
        defer { next() }
        let request = head(method, path, contentType, body.count) + body
        let deadline = Reactor.now + limits.exchangeTime
        if let kept = connection, kept.isUsable {
            do throws(HTTPError) {
                return try await exchange(request, method, on: kept, until: deadline)
            } catch {
                // The server closed it before it saw the request: not a byte of an answer has come.
                guard error.isEndOfConnection, !kept.parser.hasBegun else { throw error }
            }
        }
        return try await exchange(request, method, on: try await connect(until: deadline), until: deadline)
    }

    private func next() {
        isBusy = false
        guard !waiting.isEmpty else { return }
        isBusy = true
        waiting.removeFirst().resume()
    }

    private func exchange(
        _ request: [UInt8], _ method: HTTPMethod, on connection: HTTPClientConnection,
        until deadline: Duration
    ) async throws(HTTPError) -> HTTPClient.Reply {
        let loop = Reactor.loop
        let timer = Reactor.schedule(after: max(.zero, deadline - Reactor.now)) { connection.fail(.timedOut) }
        let result: Result<HTTPClient.Reply, HTTPError> = await withTaskCancellationHandler {
            do throws(HTTPError) {
                return .success(try await connection.exchange(request))
            } catch {
                return .failure(error)
            }
        } onCancel: {
            loop.call { connection.fail(.cancelled) }
        }
        timer.cancel()
        switch result {
        case .success where connection.isUsable: break
        case .success: close()
        case .failure:
            connection.tcp.abort()
            self.connection = nil
        }
        return try result.get()
    }

    private func connect(until deadline: Duration) async throws(HTTPError) -> HTTPClientConnection {
        self.connection = nil
        var failure = ReactorError.nameNotResolved(host)
        let parser = try HTTPParser(
            .responses, headerLimit: limits.maximumHeaderSize, bodyLimit: limits.maximumBodySize)
        do throws(ReactorError) {
            for address in try await Resolver.resolve(host: host, port: port) {
                let left = min(limits.connectTime, deadline - Reactor.now)
                guard left > .zero else { throw .timedOut }
                do throws(ReactorError) {
                    let tcp = try await TCPConnection.connect(to: address, timeout: left)
                    let connection = HTTPClientConnection(tcp, parser)
                    tcp.delegate = connection
                    self.connection = connection
                    return connection
                } catch {
                    failure = error
                    if Task.isCancelled { break }
                }
            }
            throw failure
        } catch {
            throw error == .cancelled ? .cancelled : .connection(error)
        }
    }

    private func head(
        _ method: HTTPMethod, _ path: StaticString, _ contentType: StaticString?, _ length: Int
    ) -> [UInt8] {
        let authority = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
        var text = "\(method.text) \(path) HTTP/1.1\r\nhost: \(authority)\r\n"
        if let contentType { text += "content-type: \(contentType)\r\n" }
        if length > 0 || method == .post { text += "content-length: \(length)\r\n" }
        return Array((text + "\r\n").utf8)
    }
}

/// The client's end of a connection.
final class HTTPClientConnection: HTTPConnection {
    /// Interim responses before the final one: more than any server sends.
    private static let interimLimit = 16

    /// Whether an exchange is under way; what comes at another time belongs to no request.
    private var isExchanging = false
    private var keepsAlive = true

    /// Whether another exchange may be tried.
    var isUsable: Bool { keepsAlive && !hasPeerEnded && failure == nil }

    func exchange(_ request: [UInt8]) async throws(HTTPError) -> HTTPClient.Reply {
        isExchanging = true
        defer { isExchanging = false }
        parser.reset()
        request.withUnsafeBytes { tcp.send($0) }
        for _ in 0..<Self.interimLimit {
            guard try await receiveHeader() else { throw .closed }
            let head = parser.head
            if (100..<200).contains(head.status) {
                parser.reset()
                continue
            }
            try await receiveBody()
            keepsAlive = keepsAlive && head.keeps_alive
            return HTTPClient.Reply(status: Int(head.status), body: parser.takeBody())
        }
        throw .malformed("only interim responses")
    }

    override func received(_ bytes: UnsafeMutableRawBufferPointer) {
        super.received(bytes)
        if !isExchanging || heldBytes > parser.body.count { leave() }
    }

    override func peerClosedWrite() {
        super.peerClosedWrite()
        if !isExchanging { leave() }
    }

    /// No further exchange.
    private func leave() {
        keepsAlive = false
        if !isExchanging { tcp.close() }
    }
}

extension HTTPError {
    /// Whether the connection ended, rather than that something was wrong with what came.
    fileprivate var isEndOfConnection: Bool {
        switch self {
        case .closed, .connection: true
        default: false
        }
    }
}
