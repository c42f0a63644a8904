import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// A JSON-RPC client over one kept HTTP connection, which is opened again when the server has closed it. Requests of
/// one client run one after another.
public actor RPCClient {
    /// Why a call has no result: one line.
    public enum Failure: Error, CustomStringConvertible {
        /// No connection, a broken one, or an answer that is not JSON-RPC.
        case transport(String)
        /// The server's error.
        case server(JSONRPC.Failure)

        /// One line.
        public var description: String {
            switch self {
            case .transport(let reason): reason
            case .server(let failure): failure.description
            }
        }
    }

    /// Largest response body in bytes: a page of a query's rows is well below.
    public static let maximumResponseSize = 256 << 20

    private let host: String
    private let port: Int
    private let timeout: Duration
    private var channel: (any Channel)?
    private var handler: NIOLoopBound<RPCClientHandler>?

    /// - Parameters:
    ///   - address: `host:port`; a URL's `http://` and path are ignored.
    ///   - timeout: longest time for one exchange.
    public init(_ address: String, timeout: Duration = .seconds(30)) throws(Failure) {
        var rest = Substring(address)
        if rest.hasPrefix("http://") { rest = rest.dropFirst(7) }
        rest = rest.prefix { $0 != "/" }
        guard let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...])
        else { throw .transport("\"\(address)\" is not host:port") }
        host = rest[..<colon].trimmingCharacters(in: ["[", "]"])
        self.port = Int(port)
        self.timeout = timeout
    }

    /// Closes the connection.
    public func close() async {
        try? await channel?.close()
        channel = nil
    }

    /// Calls one method.
    public func call<Parameters: Encodable & Sendable, Value: Decodable & Sendable>(
        _ method: String, _ parameters: Parameters, as _: Value.Type = Value.self
    ) async throws(Failure) -> Value {
        let body = try Self.encode(Request(id: 0, method: method, params: parameters))
        let response = try Self.decode(Response<Value>.self, from: try await exchange(body))
        return try response.value()
    }

    /// Calls one method with many parameters in one batch; the results stand in the order of the parameters.
    public func batch<Parameters: Encodable & Sendable, Value: Decodable & Sendable>(
        _ method: String, _ parameters: [Parameters], as _: Value.Type = Value.self
    ) async throws(Failure) -> [Result<Value, JSONRPC.Failure>] {
        guard !parameters.isEmpty else { return [] }
        let requests = parameters.enumerated().map { index, parameters in
            Request(id: index, method: method, params: parameters)
        }
        let responses = try Self.decode(
            [Response<Value>].self, from: try await exchange(try Self.encode(requests)))
        var results: [Result<Value, JSONRPC.Failure>?] = Array(repeating: nil, count: parameters.count)
        for response in responses {
            guard case .number(let id) = response.id, results.indices.contains(Int(id)) else {
                throw .transport("the server answered a request that was not made")
            }
            do {
                results[Int(id)] = .success(try response.value())
            } catch .server(let failure) {
                results[Int(id)] = .failure(failure)
            }
        }
        let complete = results.compactMap { $0 }
        guard complete.count == parameters.count else {
            throw .transport("the server left requests unanswered")
        }
        return complete
    }

    private struct Request<Parameters: Encodable>: Encodable {
        let jsonrpc = JSONRPC.version
        let id: Int
        let method: String
        let params: Parameters
    }

    private struct Response<Value: Decodable>: Decodable {
        let id: JSONRPC.ID
        let result: Value?
        let error: JSONRPC.Failure?

        func value() throws(Failure) -> Value {
            if let error { throw .server(error) }
            guard let result else { throw .transport("the server's answer has no result") }
            return result
        }
    }

    private static func encode(_ value: some Encodable) throws(Failure) -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        do { return try encoder.encode(value) } catch { throw .transport("\(error)") }
    }

    private static func decode<T: Decodable>(_: T.Type, from data: Data) throws(Failure) -> T {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(T.self, from: data)
        } catch let error as DecodingError {
            throw .transport("the server's answer cannot be read: \(error.line)")
        } catch {
            throw .transport("the server's answer cannot be read: \(error)")
        }
    }

    // MARK: Connection

    private func exchange(_ body: Data) async throws(Failure) -> Data {
        do {
            let (channel, handler) = try await connected()
            let promise = channel.eventLoop.makePromise(of: Data.self)
            let timeout = self.timeout
            let timer = channel.eventLoop.scheduleTask(in: .nanoseconds(timeout.nanoseconds)) {
                promise.fail(Failure.transport("no answer within \(timeout)"))
                channel.close(promise: nil)
            }
            let (host, bytes) = ("\(self.host):\(self.port)", ByteBuffer(bytes: body))
            channel.eventLoop.execute { handler.value.send(bytes, host: host, channel: channel, promise) }
            defer { timer.cancel() }
            return try await promise.futureResult.get()
        } catch let failure as Failure {
            self.channel = nil
            throw failure
        } catch {
            self.channel = nil
            throw .transport("\(host):\(port): \(error)")
        }
    }

    private func connected() async throws -> (any Channel, NIOLoopBound<RPCClientHandler>) {
        if let channel, let handler, channel.isActive { return (channel, handler) }
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(5))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
        let (channel, handler) = try await bootstrap.connect(host: host, port: port) { channel in
            channel.eventLoop.makeCompletedFuture {
                let handler = RPCClientHandler()
                try channel.pipeline.syncOperations.addHTTPClientHandlers()
                try channel.pipeline.syncOperations.addHandler(
                    NIOHTTPClientResponseAggregator(maxContentLength: Self.maximumResponseSize))
                try channel.pipeline.syncOperations.addHandler(handler)
                return (channel, NIOLoopBound(handler, eventLoop: channel.eventLoop))
            }
        }
        self.channel = channel
        self.handler = handler
        return (channel, handler)
    }
}

/// Matches the one request under way with its response, on the channel's event loop.
private final class RPCClientHandler: ChannelInboundHandler {
    typealias InboundIn = NIOHTTPClientResponseFull
    typealias OutboundOut = HTTPClientRequestPart

    private var waiting: EventLoopPromise<Data>?

    func send(_ body: ByteBuffer, host: String, channel: any Channel, _ promise: EventLoopPromise<Data>) {
        waiting = promise
        let head = HTTPRequestHead(
            version: .http1_1, method: .POST, uri: "/rpc/v1",
            headers: [
                "host": host, "content-type": "application/json",
                "content-length": String(body.readableBytes),
            ])
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        channel.write(HTTPClientRequestPart.body(.byteBuffer(body)), promise: nil)
        let written = channel.writeAndFlush(HTTPClientRequestPart.end(nil))
        written.whenFailure { promise.fail($0) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let response = unwrapInboundIn(data)
        guard let promise = waiting else { return context.close(promise: nil) }
        waiting = nil
        guard response.head.status == .ok else {
            promise.fail(RPCClient.Failure.transport("the server answered HTTP \(response.head.status.code)"))
            return context.close(promise: nil)
        }
        promise.succeed(response.body.map { Data($0.readableBytesView) } ?? Data())
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        waiting?.fail(error)
        waiting = nil
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        waiting?.fail(RPCClient.Failure.transport("the server closed the connection"))
        waiting = nil
    }
}
