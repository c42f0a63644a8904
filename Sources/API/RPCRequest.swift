import JSON

/// A request as it came: whom to answer, and what was asked or what is wrong with it.
struct RPCRequest: Sendable {
    /// Whom to answer.
    enum ID: Sendable {
        /// A notification, which is not answered.
        case none
        /// Null, also where it is not known.
        case null
        /// A text or a whole number.
        case value(JSONValue)
    }

    let id: ID
    private let method: Result<RPCMethod, JSONRPC.Failure>
    private let parameters: JSONValue?

    /// Reads one request of a body, without its parameters.
    init(_ value: JSONValue) {
        guard var members = try? value.members() else {
            id = .null
            method = .failure(.init(.invalidRequest, "a request is an object"))
            parameters = nil
            return
        }
        let (isNotification, known) = Self.id(of: &members)
        parameters = members.optional("params")
        guard let known else {
            id = .null
            method = .failure(.init(.invalidRequest, "id is neither text, a whole number nor null"))
            return
        }
        do throws(JSONRPC.Failure) {
            method = .success(try Self.method(of: &members, parameters))
            id = isNotification ? .none : known
        } catch {
            method = .failure(error)
            // What is no request at all is answered even so; a notification never is.
            let isRequest = error.code != JSONRPC.Code.invalidRequest.rawValue
            id = !isNotification ? known : isRequest ? .none : .null
        }
    }

    /// Whether the answer may be large; see `RPCMethod`.
    var isLarge: Bool { (try? method.get().isLarge) ?? false }

    /// Whether the answer may be known without waiting for the node.
    var isImmediate: Bool {
        switch method {
        case .success(.userPing), .success(.userVersion), .success(.chainVersion), .success(.userChainInfo),
            .success(.userHealth), .success(.chainHealth), .success(.apusStatus), .failure:
            true
        default: false
        }
    }

    /// The call with its parameters.
    func call() throws(JSONRPC.Failure) -> RPCCall {
        try RPCCall(try method.get(), parameters)
    }

    private static func id(of members: inout JSONMembers) -> (isNotification: Bool, ID?) {
        guard let id = members.present("id") else { return (true, ID.none) }
        return switch id.kind {
        case .text, .integer: (false, .value(id))
        case .null: (false, .null)
        default: (false, nil)
        }
    }

    private static func method(
        of members: inout JSONMembers, _ parameters: JSONValue?
    ) throws(JSONRPC.Failure) -> RPCMethod {
        guard let version = try? members.optional("jsonrpc")?.text(), version == JSONRPC.version else {
            throw .init(.invalidRequest, "jsonrpc is not \"2.0\"")
        }
        guard let name = try? members.optional("method")?.text() else {
            throw .init(.invalidRequest, "method is not text")
        }
        switch parameters?.kind {
        case nil, .object, .array: break
        default: throw .init(.invalidRequest, "params is neither an object nor an array")
        }
        guard let method = RPCMethod(name) else {
            throw .init(.unknownMethod, "unknown method \(name)")
        }
        return method
    }

    // MARK: Answering

    /// Whether nobody waits for an answer.
    var isNotification: Bool {
        if case .none = id { true } else { false }
    }

    /// Begins an answer; the result comes next.
    func begin(_ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("jsonrpc", text: JSONRPC.version)
        writer.name("result")
    }

    /// Ends an answer after its result.
    func end(_ writer: inout JSONWriter) {
        writer.name("id")
        switch id {
        case .none, .null: writer.null()
        case .value(let value): writer.value(value)
        }
        writer.endObject()
    }

    /// The error as the whole answer; empty for a notification.
    func refusal(_ failure: JSONRPC.Failure) -> [UInt8] {
        if isNotification { return [] }
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("jsonrpc", text: JSONRPC.version)
        writer.name("error")
        failure.write(to: &writer)
        end(&writer)
        return writer.bytes
    }
}
