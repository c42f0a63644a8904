import CShims

/// The client's side of a connection.
final class HTTPClientConnection: HTTPConnection {
    /// The maximum number of interim responses: more than any server sends.
    private static let interimLimit = 16

    /// Whether an exchange is in progress; bytes received outside one belong to no request.
    private var isExchanging = false
    private var keepsAlive = true

    /// Whether the connection can carry another exchange.
    var isUsable: Bool { keepsAlive && !hasPeerEnded && failure == nil }

    func exchange(_ request: [UInt8]) async throws(HTTPError) -> HTTPClient.Reply {
        isExchanging = true
        defer { isExchanging = false }
        parser.reset()
        request.withUnsafeBytes { tcp.send($0) }
        for _ in 0..<Self.interimLimit {
            guard try await receiveHeader() else { throw .closed }
            let head = parser.head
            if (100..<200).contains(head.status) {
                parser.reset()
                continue
            }
            try await receiveBody()
            keepsAlive = keepsAlive && head.keeps_alive
            return HTTPClient.Reply(status: Int(head.status), body: parser.takeBody())
        }
        throw .malformed("only interim responses")
    }

    override func received(_ bytes: UnsafeMutableRawBufferPointer) {
        super.received(bytes)
        if !isExchanging || heldBytes > parser.body.count { leave() }
    }

    override func peerClosedWrite() {
        super.peerClosedWrite()
        if !isExchanging { leave() }
    }

    /// Makes the connection unusable for further exchanges.
    private func leave() {
        keepsAlive = false
        if !isExchanging { tcp.close() }
    }
}
