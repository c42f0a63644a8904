import Reactor

/// A path, its methods and the handler of their requests. GET includes HEAD; the server itself answers
/// OPTIONS.
public struct HTTPRoute: Sendable {
    /// Handles one request. Runs on the server's loop; its task is cancelled when the client is gone or the
    /// time is up.
    public typealias Handler = @ReactorActor @Sendable (HTTPRequest) async -> HTTPResponse

    let path: StaticString
    /// The handler's time; nil for the server's limit.
    let time: Duration?
    let methods: [HTTPMethod]
    /// The response when the handler exceeds its time.
    let late: HTTPResponse
    let handler: Handler
    /// The Allow field.
    let allow: [UInt8]

    /// Creates a route. `path` is compared byte by byte; `late` is the response if the handler exceeds its
    /// time, which is the server's limit by default.
    public init(
        _ path: StaticString, _ methods: [HTTPMethod], time: Duration? = nil, late: HTTPResponse? = nil,
        handler: @escaping Handler
    ) {
        self.path = path
        self.time = time
        self.methods = methods.contains(.get) ? methods + [.head] : methods
        self.late = late ?? HTTPResponse(503, "the request took too long")
        self.handler = handler
        allow = HTTPField.allow(self.methods + [.options])
    }
}

/// Fields that responses share, each ending in CR LF.
enum HTTPField {
    /// The codings to use in place of a rejected one (RFC 9110, section 15.5.16).
    static let acceptEncoding = Array("accept-encoding: identity\r\n".utf8)

    static func allow(_ methods: [HTTPMethod]) -> [UInt8] {
        Array("allow: \(methods.map(\.rawValue).joined(separator: ", "))\r\n".utf8)
    }
}
