import Reactor

/// A client's connection, and the exchanges waiting for it.
@ReactorActor
final class HTTPSession {
    private let host: String
    private let port: UInt16
    private let limits: HTTPClient.Limits
    private var connection: HTTPClientConnection?
    private var isBusy = false
    private let waiting = WaitQueue()

    nonisolated init(_ host: String, _ port: UInt16, _ limits: HTTPClient.Limits) {
        self.host = host
        self.port = port
        self.limits = limits
    }

    func close() {
        connection?.tcp.close()
        connection = nil
    }

    func exchange(
        _ method: HTTPMethod, _ path: StaticString, _ contentType: StaticString?, _ body: [UInt8]
    ) async throws(HTTPError) -> HTTPClient.Reply {
        if isBusy, await !waiting.wait() { throw .cancelled }
        isBusy = true
        defer { isBusy = waiting.wakeFirst() }
        let request = head(method, path, contentType, body.count) + body
        let deadline = Reactor.now + limits.exchangeTime
        if let kept = connection, kept.isUsable {
            do throws(HTTPError) {
                return try await exchange(request, method, on: kept, until: deadline)
            } catch {
                // The server closed the connection before it saw the request: no byte of a response has
                // arrived.
                guard error.isEndOfConnection, !kept.parser.hasBegun else { throw error }
            }
        }
        return try await exchange(request, method, on: try await connect(until: deadline), until: deadline)
    }

    private func exchange(
        _ request: [UInt8], _ method: HTTPMethod, on connection: HTTPClientConnection,
        until deadline: Duration
    ) async throws(HTTPError) -> HTTPClient.Reply {
        let loop = Reactor.loop
        let timer = Reactor.schedule(after: max(.zero, deadline - Reactor.now)) { connection.fail(.timedOut) }
        let result: Result<HTTPClient.Reply, HTTPError> = await withTaskCancellationHandler {
            do throws(HTTPError) {
                return .success(try await connection.exchange(request))
            } catch {
                return .failure(error)
            }
        } onCancel: {
            loop.call { connection.fail(.cancelled) }
        }
        timer.cancel()
        switch result {
        case .success where connection.isUsable: break
        case .success: close()
        case .failure:
            connection.tcp.abort()
            self.connection = nil
        }
        return try result.get()
    }

    private func connect(until deadline: Duration) async throws(HTTPError) -> HTTPClientConnection {
        self.connection = nil
        var failure = ReactorError.nameNotResolved(host)
        let parser = try HTTPParser(
            .responses, headerLimit: limits.maximumHeaderSize, bodyLimit: limits.maximumBodySize)
        do throws(ReactorError) {
            for address in try await Resolver.resolve(host: host, port: port) {
                let left = min(limits.connectTime, deadline - Reactor.now)
                guard left > .zero else { throw .timedOut }
                do throws(ReactorError) {
                    let tcp = try await TCPConnection.connect(to: address, timeout: left)
                    let connection = HTTPClientConnection(tcp, parser)
                    tcp.delegate = connection
                    self.connection = connection
                    return connection
                } catch {
                    failure = error
                    if Task.isCancelled { break }
                }
            }
            throw failure
        } catch {
            throw error == .cancelled ? .cancelled : .connection(error)
        }
    }

    private func head(
        _ method: HTTPMethod, _ path: StaticString, _ contentType: StaticString?, _ length: Int
    ) -> [UInt8] {
        let authority = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
        var text = "\(method.text) \(path) HTTP/1.1\r\nhost: \(authority)\r\n"
        if let contentType { text += "content-type: \(contentType)\r\n" }
        if length > 0 || method == .post { text += "content-length: \(length)\r\n" }
        return Array((text + "\r\n").utf8)
    }
}

extension HTTPError {
    /// Whether the connection ended, rather than delivered something invalid.
    fileprivate var isEndOfConnection: Bool {
        switch self {
        case .closed, .connection: true
        default: false
        }
    }
}
