import Reactor

/// A client of one HTTP/1.1 server that keeps its connection open. Exchanges run one after another on the
/// event loop current at creation, or the process's default one. May be called from any thread.
@ReactorActor
public final class HTTPClient {
    /// Limits on what a server may consume.
    public struct Limits: Sendable {
        /// The time to connect to one of the server's addresses.
        public var connectTime = Duration.seconds(5)
        /// The time for a whole exchange, including the response.
        public var exchangeTime = Duration.seconds(30)
        /// The maximum size of a response's header, in bytes.
        public var maximumHeaderSize = 64 * 1024
        /// The maximum size of a response's body, in bytes.
        public var maximumBodySize = 256 << 20

        /// The defaults.
        public init() {}
    }

    /// A response.
    public struct Reply: Sendable {
        /// The status code.
        public var status: Int
        /// The whole body, with its transfer coding removed.
        public var body: [UInt8]
    }

    private nonisolated let loop: EventLoop
    private let host: String
    private let port: UInt16
    private let limits: Limits
    private var connection: HTTPClientConnection?
    private var isBusy = false
    /// The exchanges that wait for the one in progress.
    private let waiting = WaitQueue()

    /// Creates a client of the server at `host`, a name or an IP address without brackets.
    public nonisolated init(host: String, port: UInt16, limits: Limits = Limits()) {
        loop = Reactor.loop
        self.host = host
        self.port = port
        self.limits = limits
    }

    /// Closes the connection. The next exchange opens another.
    public nonisolated func close() async { await loop.perform { self.closeConnection() } }

    private func closeConnection() {
        connection?.tcp.close()
        connection = nil
    }

    /// Sends a request and returns its response, whatever its status. `path` begins with a slash. Reconnects
    /// once if the server has closed the connection since the last exchange.
    public nonisolated func exchange(
        _ method: HTTPMethod, _ path: StaticString, contentType: StaticString? = nil, body: [UInt8] = []
    ) async throws(HTTPError) -> Reply {
        try await loop.perform {
            await Result { () async throws(HTTPError) in
                try await self.exchangeInTurn(method, path, contentType, body)
            }
        }.get()
    }

    private func exchangeInTurn(
        _ method: HTTPMethod, _ path: StaticString, _ contentType: StaticString?, _ body: [UInt8]
    ) async throws(HTTPError) -> Reply {
        if isBusy, await !waiting.wait() { throw .cancelled }
        isBusy = true
        defer { isBusy = waiting.wakeFirst() }
        let request = head(method, path, contentType, body.count) + body
        let deadline = Reactor.now + limits.exchangeTime
        if let kept = connection, kept.isUsable {
            do throws(HTTPError) {
                return try await exchange(request, on: kept, until: deadline)
            } catch {
                // The server closed the connection before it saw the request: no byte of a response has
                // arrived.
                guard error.isEndOfConnection, !kept.parser.hasBegun else { throw error }
            }
        }
        return try await exchange(request, on: try await connect(until: deadline), until: deadline)
    }

    private func exchange(
        _ request: [UInt8], on connection: HTTPClientConnection, until deadline: Duration
    ) async throws(HTTPError) -> Reply {
        let loop = Reactor.loop
        let timer = Reactor.schedule(after: max(.zero, deadline - Reactor.now)) { connection.fail(.timedOut) }
        let result: Result<Reply, HTTPError> = await withTaskCancellationHandler {
            await Result { () async throws(HTTPError) in try await connection.exchange(request) }
        } onCancel: {
            loop.call { connection.fail(.cancelled) }
        }
        timer.cancel()
        switch result {
        case .success where connection.isUsable: break
        case .success: closeConnection()
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
        var text = "\(method.rawValue) \(path) HTTP/1.1\r\nhost: \(authority)\r\n"
        if let contentType { text += "content-type: \(contentType)\r\n" }
        if length > 0 || method == .post { text += "content-length: \(length)\r\n" }
        return Array((text + "\r\n").utf8)
    }
}

extension HTTPError {
    /// Whether the connection ended, rather than delivered something invalid.
    fileprivate var isEndOfConnection: Bool {
        switch self {
        case .closed, .connection: true
        default: false
        }
    }
}
