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
        self.address = String(rest)
        self.timeout = timeout
        http = HTTPClient(host: place.host, port: place.port, limits: limits)
    }

    /// Closes the connection.
    public func close() async {
        await http.close()
    }

    /// Calls a method. `parameters` writes its parameters; `read` reads its result's members.
    func call<Value>(
        _ method: RPCMethod, _ parameters: (inout JSONWriter) -> Void = { $0.object { _ in } },
        read result: (inout JSONMembers) throws -> Value
    ) async throws(Failure) -> Value {
        var writer = JSONWriter()
        Self.write(&writer, 0, method, parameters)
        let body = try await exchange(writer.bytes)
        return try Self.read { try Self.response(try JSONDocument(body).root, result).value.get() }
    }

    /// Asks a question and returns the result as the node wrote it.
    public func ask(_ question: Question) async throws(Failure) -> JSONValue {
        try await call(question, read: { $0.value })
    }

    /// Asks a question. `read` reads the members of its result.
    func call<Value>(
        _ question: Question, read result: (inout JSONMembers) throws -> Value
    ) async throws(Failure) -> Value {
        try await call(question.method, question.writeParameters, read: result)
    }

    /// Calls a method `count` times in one batch. Returns the results in the order of the parameters.
    func batch<Value>(
        _ method: RPCMethod, count: Int, _ parameters: (Int, inout JSONWriter) -> Void,
        read result: (inout JSONMembers) throws -> Value
    ) async throws(Failure) -> [Result<Value, JSONRPC.Failure>] {
        guard count > 0 else { return [] }
        var writer = JSONWriter()
        writer.array { list in
            for index in 0..<count { Self.write(&list, index, method) { parameters(index, &$0) } }
        }
        let body = try await exchange(writer.bytes)
        return try Self.read {
            let root = try JSONDocument(body).root
            // An error of the whole batch.
            if case .object = root.kind { _ = try Self.response(root, result).value.get() }
            var results: [Result<Value, JSONRPC.Failure>?] = Array(repeating: nil, count: count)
            for value in try root.array() {
                let answer = try Self.response(value, result)
                guard let id = answer.id, results.indices.contains(id) else {
                    throw Failure.transport("the server answered an unknown request")
                }
                results[id] = answer.value
            }
            let complete = results.compactMap { $0 }
            guard complete.count == count else {
                throw Failure.transport("the server left requests unanswered")
            }
            return complete
        }
    }

    private static func write(
        _ writer: inout JSONWriter, _ id: Int, _ method: RPCMethod,
        _ parameters: (inout JSONWriter) -> Void
    ) {
        writer.object {
            $0.member("jsonrpc", text: JSONRPC.version)
            $0.member("id", integer: id)
            $0.member("method", text: method.rawValue)
            $0.name("params")
            parameters(&$0)
        }
    }

    private static func response<Value>(
        _ value: JSONValue, _ result: (inout JSONMembers) throws -> Value
    ) throws -> (id: Int?, value: Result<Value, JSONRPC.Failure>) {
        var members = try value.members()
        let id = try? members.optional("id")?.integer(Int.self)
        if let error = members.optional("error") { return (id, .failure(try JSONRPC.Failure(error))) }
        var inner = try members.value("result").members()
        return (id, .success(try result(&inner)))
    }

    private static func read<T>(_ body: () throws -> T) throws(Failure) -> T {
        do {
            return try body()
        } catch let failure as Failure {
            throw failure
        } catch let failure as JSONRPC.Failure {
            throw .server(failure)
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
            // The error of a request that is too large.
            if reply.status == 413, let root = try? JSONDocument(reply.body).root,
                case .failure(let failure)? = try? Self.response(root, { _ in }).value
            {
                throw .server(failure)
            }
            throw .transport("the server answered HTTP \(reply.status)")
        }
        return reply.body
    }
}
