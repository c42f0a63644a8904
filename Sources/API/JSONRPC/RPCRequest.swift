import JSON

/// One request of a body: the ID to answer, and the method or the error in it.
struct RPCRequest: Sendable {
    /// The ID that the answer repeats.
    enum ID: Sendable {
        /// Absent: a notification, which gets no answer.
        case none
        /// Null, or unreadable.
        case null
        /// A string or a whole number.
        case value(JSONValue)
    }

    let id: ID
    private let method: Result<RPCMethod, JSONRPC.Failure>
    private let parameters: JSONValue?

    /// Reads everything but the parameters.
    init(_ value: JSONValue) {
        guard var members = try? value.members() else {
            id = .null
            method = .failure(.init(.invalidRequest, "a request must be an object"))
            parameters = nil
            return
        }
        let (isNotification, known) = Self.id(of: &members)
        parameters = members.optional("params")
        guard let known else {
            id = .null
            method = .failure(.init(.invalidRequest, "id must be a string, a whole number or null"))
            return
        }
        do throws(JSONRPC.Failure) {
            method = .success(try Self.method(of: &members, parameters))
            id = isNotification ? .none : known
        } catch {
            method = .failure(error)
            // An invalid request is answered even without an ID; a valid notification never is.
            let isRequest = error.code != JSONRPC.Code.invalidRequest.rawValue
            id = !isNotification ? known : isRequest ? .none : .null
        }
    }

    /// The method; nil if the request is malformed or its method is unknown.
    var knownMethod: RPCMethod? { try? method.get() }

    /// Whether the answer may be large (`RPCMethod.isLarge`).
    var isLarge: Bool { knownMethod?.isLarge ?? false }

    /// Whether the answer may be available without waiting for the node.
    var isImmediate: Bool {
        switch method {
        case .success(.userPing), .success(.userVersion), .success(.chainVersion), .success(.userChainInfo),
            .success(.userHealth), .success(.chainHealth), .success(.apusStatus), .success(.apusClock),
            .failure:
            true
        default: false
        }
    }

    /// Reads the parameters.
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
            throw .init(.invalidRequest, "jsonrpc must be \"2.0\"")
        }
        guard let name = try? members.optional("method")?.text() else {
            throw .init(.invalidRequest, "method must be a string")
        }
        switch parameters?.kind {
        case nil, .object, .array: break
        default: throw .init(.invalidRequest, "params must be an object or an array")
        }
        guard let method = RPCMethod(name) else {
            throw .init(.unknownMethod, "unknown method \(name)")
        }
        return method
    }

    // MARK: Answering

    /// Whether the client expects no answer.
    var isNotification: Bool {
        if case .none = id { true } else { false }
    }

    /// Begins an answer; the caller writes the result next.
    func begin(_ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("jsonrpc", text: JSONRPC.version)
        writer.name("result")
    }

    /// Ends an answer after its result.
    func end(_ writer: inout JSONWriter) {
        writer.id(id)
        writer.endObject()
    }

    /// Returns an error as the whole answer; empty for a notification.
    func refusal(_ failure: JSONRPC.Failure) -> [UInt8] {
        isNotification ? [] : JSONRPC.response(failure, to: id)
    }
}

extension JSONWriter {
    /// Writes the ID of an answer.
    mutating func id(_ id: RPCRequest.ID) {
        name("id")
        switch id {
        case .none, .null: null()
        case .value(let value): self.value(value)
        }
    }
}
