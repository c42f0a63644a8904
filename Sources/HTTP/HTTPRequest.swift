import Bytes
import CShims
import Reactor

/// One request, as its handler sees it. It is the connection's own object, good until the handler returns.
@ReactorActor
public final class HTTPRequest {
    let parser: HTTPParser
    /// The method.
    public internal(set) var method = HTTPMethod.other
    /// The whole body, without its transfer coding.
    public internal(set) var body: [UInt8] = []
    /// Bytes that the reply may have, as far as the server's budget for replies goes now.
    public internal(set) var replyLimit = 0
    /// Who asks: its address, or its network (IPv6: one /64).
    public let client: SocketAddress
    /// Where the path lies in the target.
    private var pathRange = 0..<0

    init(_ parser: HTTPParser, from client: SocketAddress) {
        self.parser = parser
        self.client = client
    }

    /// Whether the path, without the query, is these bytes.
    public func isPath(_ path: StaticString) -> Bool {
        parser.head.target.buffer.part(pathRange).equals(path)
    }

    /// Calls `body` with the value of the first field of that name (in lower case), nil where there is none.
    public func withField<R>(_ name: StaticString, _ body: (UnsafeRawBufferPointer?) -> R) -> R {
        parser.withField(name, body)
    }

    /// Whether the target is `*`.
    private(set) var isForServer = false

    /// Reads method and target; false when the target has none of the forms that its method may have (RFC 9112,
    /// section 3.2).
    func begin() -> Bool {
        let head = parser.head
        method = HTTPMethod(number: head.method)
        let target = head.target.buffer
        isForServer = target.equals("*")
        if isForServer { return method == .options }
        // The authority of CONNECT, which no route serves.
        if method == .connect { return true }
        guard let start = Self.pathStart(target) else { return false }
        let end = target[start...].firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }
        pathRange = start..<(end ?? target.count)
        return true
    }

    /// Where the path begins: at once, or behind the scheme and authority of an absolute form.
    private static func pathStart(_ target: UnsafeRawBufferPointer) -> Int? {
        if target.first == UInt8(ascii: "/") { return 0 }
        let scheme: StaticString = target.hasPrefixIgnoringCase("https://") ? "https://" : "http://"
        guard target.hasPrefixIgnoringCase(scheme) else { return nil }
        let authority = scheme.utf8CodeUnitCount
        let end = target[authority...].firstIndex { "/?#".utf8.contains($0) } ?? target.count
        return end > authority ? end : nil
    }
}
