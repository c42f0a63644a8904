import HTTP
import JSON
import Multiformats

/// A JSON-RPC client over one persistent HTTP connection, which it reopens after the server has closed it. Calls run
/// one at a time.
public actor RPCClient {
    /// The reason why a call has no result.
    public enum Failure: Error, CustomStringConvertible {
        /// The connection failed, or the answer is not JSON-RPC.
        case transport(String)
        /// The server returned an error.
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

    /// `host:port`, for error messages.
    private let address: String
    private let timeout: Duration
    private let http: HTTPClient

    /// - Parameters:
    ///   - address: `host:port`; a URL's `http://` and path are ignored.
    ///   - timeout: the maximum time for one exchange.
    public init(_ address: String, timeout: Duration = .seconds(30)) throws(Failure) {
        var rest = Substring(address)
        if rest.hasPrefix("http://") { rest = rest.dropFirst(7) }
        rest = rest.prefix { $0 != "/" }
        let place: HostPort
        do { place = try HostPort(rest) } catch { throw .transport("\"\(address)\" \(error)") }
        var limits = HTTPClient.Limits()
        limits.exchangeTime = timeout
        limits.maximumBodySize = Self.maximumResponseSize
        self.address = String(rest)
        self.timeout = timeout
        http = HTTPClient(host: place.host, port: place.port, limits: limits)
    }

    /// Closes the connection.
    public func close() async {
        await http.close()
    }

    /// Calls a method. `parameters` writes its parameters; `read` reads its result.
    func call<Value>(
        _ method: RPCMethod, _ parameters: (inout JSONWriter) -> Void = { $0.object { _ in } },
        read result: (JSONValue) throws(JSONError) -> Value
    ) async throws(Failure) -> Value {
        var writer = JSONWriter()
        Self.write(&writer, 0, method, parameters)
        let root = try Self.document(try await exchange(writer.bytes))
        let answer = try Self.read { () throws(JSONError) in try Self.response(root, result) }
        return try Self.value(answer.value)
    }

    /// Calls a method `count` times in one batch. Returns the results in the order of the parameters.
    func batch<Value>(
        _ method: RPCMethod, count: Int, _ parameters: (Int, inout JSONWriter) -> Void,
        read result: (JSONValue) throws(JSONError) -> Value
    ) async throws(Failure) -> [Result<Value, JSONRPC.Failure>] {
        guard count > 0 else { return [] }
        var writer = JSONWriter()
        writer.array { list in
            for index in 0..<count { Self.write(&list, index, method) { parameters(index, &$0) } }
        }
        let root = try Self.document(try await exchange(writer.bytes))
        // An error of the whole batch.
        if case .object = root.kind {
            let answer = try Self.read { () throws(JSONError) in try Self.response(root, result) }
            _ = try Self.value(answer.value)
        }
        var results: [Result<Value, JSONRPC.Failure>?] = Array(repeating: nil, count: count)
        let answers = try Self.read { () throws(JSONError) in try root.array() }
        for value in answers {
            let answer = try Self.read { () throws(JSONError) in try Self.response(value, result) }
            guard let id = answer.id, results.indices.contains(id) else {
                throw .transport("the server answered an unknown request")
            }
            results[id] = answer.value
        }
        let complete = results.compactMap { $0 }
        guard complete.count == count else { throw .transport("the server left requests unanswered") }
        return complete
    }

    private static func write(
        _ writer: inout JSONWriter, _ id: Int, _ method: RPCMethod,
        _ parameters: (inout JSONWriter) -> Void
    ) {
        writer.object {
            $0.member("jsonrpc", text: JSONRPC.version)
            $0.member("id", integer: id)
            $0.member("method", text: method.name)
            $0.name("params")
            parameters(&$0)
        }
    }

    private static func response<Value>(
        _ value: JSONValue, _ result: (JSONValue) throws(JSONError) -> Value
    ) throws(JSONError) -> (id: Int?, value: Result<Value, JSONRPC.Failure>) {
        var members = try value.members()
        let id = try? members.optional("id")?.integer(Int.self)
        if let error = members.optional("error") { return (id, .failure(try JSONRPC.Failure(error))) }
        return (id, .success(try result(try members.value("result"))))
    }

    private static func value<Value>(
        _ result: Result<Value, JSONRPC.Failure>
    ) throws(Failure) -> Value {
        switch result {
        case .success(let value): return value
        case .failure(let failure): throw .server(failure)
        }
    }

    private static func document(_ bytes: [UInt8]) throws(Failure) -> JSONValue {
        try read { () throws(JSONError) in try JSONDocument(bytes).root }
    }

    private static func read<T>(_ body: () throws(JSONError) -> T) throws(Failure) -> T {
        do throws(JSONError) {
            return try body()
        } catch {
            throw .transport("cannot read the server's answer: \(error)")
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
        guard reply.status == 200 else {
            if reply.status == 413, let failure = Self.failure(in: reply.body) { throw .server(failure) }
            throw .transport("the server answered HTTP \(reply.status)")
        }
        return reply.body
    }

    /// Returns the JSON-RPC error in a body; nil if there is none.
    private static func failure(in body: [UInt8]) -> JSONRPC.Failure? {
        guard let root = try? JSONDocument(body).root, var members = try? root.members(),
            let error = members.optional("error")
        else { return nil }
        return try? JSONRPC.Failure(error)
    }
}
