import Foundation
import HTTP

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

    /// `host:port`, for messages.
    private let address: String
    private let timeout: Duration
    private let http: HTTPClient

    /// - Parameters:
    ///   - address: `host:port`; a URL's `http://` and path are ignored.
    ///   - timeout: longest time for one exchange.
    public init(_ address: String, timeout: Duration = .seconds(30)) throws(Failure) {
        var rest = Substring(address)
        if rest.hasPrefix("http://") { rest = rest.dropFirst(7) }
        rest = rest.prefix { $0 != "/" }
        guard let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...])
        else { throw .transport("\"\(address)\" is not host:port") }
        var host = rest[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        var limits = HTTPClient.Limits()
        limits.exchangeTime = timeout
        limits.maximumBodySize = Self.maximumResponseSize
        self.address = String(rest)
        self.timeout = timeout
        http = HTTPClient(host: String(host), port: port, limits: limits)
    }

    /// Closes the connection.
    public func close() async {
        await http.close()
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

    private static func encode(_ value: some Encodable) throws(Failure) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        do { return Array(try encoder.encode(value)) } catch { throw .transport("\(error)") }
    }

    private static func decode<T: Decodable>(_: T.Type, from bytes: [UInt8]) throws(Failure) -> T {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(T.self, from: Data(bytes))
        } catch let error as DecodingError {
            throw .transport("the server's answer cannot be read: \(error.line)")
        } catch {
            throw .transport("the server's answer cannot be read: \(error)")
        }
    }

    // MARK: Connection

    private func exchange(_ body: [UInt8]) async throws(Failure) -> [UInt8] {
        let reply: HTTPClient.Reply
        do throws(HTTPError) {
            reply = try await http.exchange(.post, "/rpc/v1", contentType: "application/json", body: body)
        } catch .timedOut {
            throw .transport("no answer within \(timeout)")
        } catch {
            throw .transport("\(address): \(error)")
        }
        guard reply.status == 200 else { throw .transport("the server answered HTTP \(reply.status)") }
        return reply.body
    }
}
