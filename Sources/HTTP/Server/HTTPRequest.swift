import Bytes
import CShims
import Reactor

/// One request, as its handler sees it. It belongs to the connection and is valid until the handler returns.
@ReactorActor
public final class HTTPRequest {
    let parser: HTTPParser
    /// The method.
    public internal(set) var method = HTTPMethod.other
    /// The whole body, with its transfer coding removed.
    public internal(set) var body: [UInt8] = []
    /// The maximum size of the reply, in bytes, under the server's current budget for replies.
    public internal(set) var replyLimit = 0
    /// The client's address, or its network (IPv6: a /64).
    public let client: SocketAddress
    /// The range of the path in the target.
    private var pathRange = 0..<0

    init(_ parser: HTTPParser, from client: SocketAddress) {
        self.parser = parser
        self.client = client
    }

    /// Returns whether the path, without the query, equals `path`.
    public func isPath(_ path: StaticString) -> Bool {
        parser.head.target.buffer.part(pathRange).equals(path)
    }

    /// Whether the target is `*`.
    private(set) var isForServer = false

    /// Reads the method and target. Returns false if the target has no form that the method allows (RFC 9112,
    /// section 3.2).
    func begin() -> Bool {
        let head = parser.head
        method = HTTPMethod(number: head.method)
        let target = head.target.buffer
        isForServer = target.equals("*")
        if isForServer { return method == .options }
        // The authority form of CONNECT, which no route serves.
        if method == .connect { return true }
        guard let start = Self.pathStart(target) else { return false }
        let end = target[start...].firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }
        pathRange = start..<(end ?? target.count)
        return true
    }

    /// Returns where the path begins: at the start, or after the scheme and authority of the absolute form.
    private static func pathStart(_ target: UnsafeRawBufferPointer) -> Int? {
        if target.first == UInt8(ascii: "/") { return 0 }
        let scheme: StaticString = target.hasPrefixIgnoringCase("https://") ? "https://" : "http://"
        guard target.hasPrefixIgnoringCase(scheme) else { return nil }
        let authority = scheme.utf8CodeUnitCount
        let end = target[authority...].firstIndex { "/?#".utf8.contains($0) } ?? target.count
        return end > authority ? end : nil
    }
}
