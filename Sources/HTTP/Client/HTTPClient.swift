import Reactor

/// A client of one HTTP/1.1 server that keeps its connection open. Exchanges run one after another on the
/// event loop current at creation, or the process's default one. May be called from any thread.
public final class HTTPClient: Sendable {
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

    private let loop: EventLoop
    private let session: HTTPSession

    /// Creates a client of the server at `host`, a name or an IP address without brackets.
    public init(host: String, port: UInt16, limits: Limits = Limits()) {
        loop = Reactor.loop
        session = HTTPSession(host, port, limits)
    }

    /// Sends a request and returns its response, whatever its status. `path` begins with a slash. Reconnects
    /// once if the server has closed the connection since the last exchange.
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

    /// Closes the connection. The next exchange opens another.
    public func close() async {
        let session = session
        await loop.perform { session.close() }
    }
}
