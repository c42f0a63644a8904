import Reactor

/// A path, and who answers there to which methods. GET includes HEAD, and OPTIONS is answered by the server.
public struct HTTPRoute: Sendable {
    /// Answers one request. Runs on the server's loop; its task is cancelled when the client is gone or the time is up.
    public typealias Handler = @ReactorActor @Sendable (HTTPRequest) async -> HTTPResponse

    let path: StaticString
    let methods: [HTTPMethod]
    /// What a client gets that has waited as long as it may.
    let late: HTTPResponse
    let handler: Handler
    /// The Allow field.
    let allow: [UInt8]

    /// `path` is compared byte by byte; `late` answers in the handler's place when its time is up.
    public init(
        _ path: StaticString, _ methods: [HTTPMethod], late: HTTPResponse? = nil, handler: @escaping Handler
    ) {
        self.path = path
        self.methods = methods.contains(.get) ? methods + [.head] : methods
        self.late = late ?? HTTPResponse(503, "the request took too long")
        self.handler = handler
        allow = HTTPField.allow(self.methods + [.options])
    }
}

/// Fields that responses share, each with its line end.
enum HTTPField {
    /// RFC 9110, section 15.5.16: what may be sent in place of the coding that is refused.
    static let acceptEncoding = Array("accept-encoding: identity\r\n".utf8)

    static func allow(_ methods: [HTTPMethod]) -> [UInt8] {
        let names = methods.map { "\($0.text)" }
        return Array("allow: \(names.joined(separator: ", "))\r\n".utf8)
    }
}
