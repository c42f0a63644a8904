import Reactor
import Testing
import VirtualIO

@testable import HTTP

/// The client against our server, and against servers that misbehave, on a virtual network.
@Suite struct HTTPClientTests {
    private func client(_ change: (inout HTTPClient.Limits) -> Void = { _ in }) -> HTTPClient {
        var limits = HTTPClient.Limits()
        change(&limits)
        return HTTPClient(host: TestService.address, port: 80, limits: limits)
    }

    @Test func exchangesOnOneConnection() throws {
        try withServer { server, service in
            let client = client()
            for round in 0..<10 {
                let body = Array("round \(round)".utf8)
                let reply = try await client.exchange(.post, "/echo", contentType: "text/plain", body: body)
                #expect(reply.status == 200 && reply.body == body)
            }
            let status1 = try await client.exchange(.get, "/none").status
            #expect(status1 == 204)
            let status2 = try await client.exchange(.get, "/nowhere").status
            #expect(status2 == 404)
            #expect(server.connectionCount == 1)
            #expect(VirtualNetwork.current?.counters.connections == 1)
            await client.close()
            try await Reactor.sleep(for: .seconds(1))
            #expect(server.connectionCount == 0)
        }
    }

    @Test func exchangesAskedForTogetherRunInTurn() throws {
        try withServer { server, _ in
            let client = client()
            let replies = try await withThrowingTaskGroup(of: (Int, [UInt8]).self) { group in
                for number in 0..<20 {
                    group.addTask {
                        (
                            number,
                            try await client.exchange(.post, "/echo", body: Array("\(number)".utf8)).body
                        )
                    }
                }
                var replies: [(Int, [UInt8])] = []
                while let reply = try await group.next() { replies.append(reply) }
                return replies
            }
            #expect(replies.count == 20)
            #expect(replies.allSatisfy { $0.1 == Array("\($0.0)".utf8) })
            #expect(server.connectionCount == 1)
        }
    }

    @Test func aConnectionClosedWhileIdleIsMadeAnew() throws {
        try withServer(limits: { $0.idleTime = .seconds(10) }) { server, service in
            let client = client()
            let status3 = try await client.exchange(.get, "/hello").status
            #expect(status3 == 200)
            try await Reactor.sleep(for: .seconds(30))
            #expect(server.connectionCount == 0)
            let status4 = try await client.exchange(.get, "/hello").status
            #expect(status4 == 200)
            // Also when the server's close and the request cross.
            VirtualNetwork.current?.defaultLink.latency = .seconds(1)
            _ = try await client.exchange(.get, "/hello")
            try await Reactor.sleep(for: .seconds(9.5))
            let status5 = try await client.exchange(.get, "/hello").status
            #expect(status5 == 200)
            #expect(service.answered == 4)
        }
    }

    @Test func errorsAreTyped() throws {
        try withServer { server, _ in
            let late = client { $0.exchangeTime = .seconds(3) }
            await #expect(throws: HTTPError.timedOut) { try await late.exchange(.get, "/slow") }
            let status6 = try await late.exchange(.get, "/hello").status
            #expect(status6 == 200)
            let small = client { $0.maximumBodySize = 1000 }
            await #expect(throws: HTTPError.bodyTooLarge) { try await small.exchange(.get, "/big") }
            let nobody = HTTPClient(host: "192.0.2.9", port: 80)
            await #expect(throws: HTTPError.connection(.connectionRefused)) {
                try await nobody.exchange(.get, "/")
            }
            let waiting = client()
            var failure: HTTPError?
            let task = Reactor.spawn {
                do throws(HTTPError) { _ = try await waiting.exchange(.get, "/slow") } catch {
                    failure = error
                }
            }
            try await Reactor.sleep(for: .seconds(1))
            task.cancel()
            await task.value
            #expect(failure == .cancelled)
            let status7 = try await waiting.exchange(.get, "/hello").status
            #expect(status7 == 200)
        }
    }

    @Test(arguments: 0..<5)
    func exchangesSurviveABadNetwork(_ seed: UInt64) throws {
        try withServer(seed: seed) { server, _ in
            VirtualNetwork.current?.defaultLink = .init(
                latency: .milliseconds(30), jitter: .milliseconds(50), bytesPerSecond: 100_000,
                lossPerMille: 100)
            let client = client()
            for round in 0..<20 {
                let body = Array(repeating: UInt8(round), count: round * 1009)
                let answered = try await client.exchange(.post, "/echo", body: body).body
                #expect(answered == body)
            }
            // A broken connection fails its exchange; the next exchange opens another.
            VirtualNetwork.current?.resetConnections(of: server.localAddress)
            let status9 = try await client.exchange(.get, "/hello").status
            #expect(status9 == 200)
        }
    }

    /// Starts a server that sends `text` to every client once it has received `count` bytes.
    @ReactorActor private func answering(_ text: String, after count: Int = 1, andEnds: Bool = true) throws
        -> TCPListener
    {
        @ReactorActor final class Talker: TCPConnectionDelegate {
            let tcp: TCPConnection
            let text: String
            var count: Int
            let andEnds: Bool
            init(_ tcp: TCPConnection, _ text: String, _ count: Int, _ andEnds: Bool) {
                self.tcp = tcp
                self.text = text
                self.count = count
                self.andEnds = andEnds
            }
            override func received(_ bytes: UnsafeMutableRawBufferPointer) {
                count -= bytes.count
                if count <= 0 { talk() }
            }
            func talk() {
                Array(text.utf8).withUnsafeBytes { tcp.send($0) }
                if andEnds { tcp.close() }
            }
        }
        return try TCPListener.listen(on: SocketAddress(ip: TestService.address, port: 80)) { tcp in
            let talker = Talker(tcp, text, count, andEnds)
            tcp.delegate = talker
            if count == 0 { talker.talk() }
        }
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc"),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
            200, "a"
        ),
        ("HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 503, "ab"),
    ])
    func responsesOfOtherServers(_ text: String, _ status: Int, _ body: String) throws {
        try MemoryNetwork.run {
            let listener = try answering(text)
            let reply = try await client().exchange(.get, "/")
            #expect(reply.status == status && reply.body == Array(body.utf8))
            listener.close()
        }
    }

    @Test(arguments: [
        ("", HTTPError.closed),
        ("HTTP/1.1 200", .truncated),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", .truncated),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab", .malformed("Content-Length is contradictory")),
        ("SSH-2.0\r\n\r\n", .malformed("the HTTP version is malformed")),
    ])
    func brokenResponses(_ text: String, _ expected: HTTPError) throws {
        try MemoryNetwork.run {
            let listener = try answering(text)
            await #expect(throws: expected) { try await client().exchange(.get, "/") }
            listener.close()
        }
    }

    @Test func onlyInterimResponsesEnd() throws {
        try MemoryNetwork.run {
            let listener = try answering(
                String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 100), andEnds: false)
            await #expect(throws: HTTPError.malformed("only interim responses")) {
                try await client().exchange(.get, "/")
            }
            listener.close()
        }
    }

    /// An unsolicited response is not taken for that of the next request.
    @Test func unaskedBytesEndTheConnection() throws {
        try MemoryNetwork.run {
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
            let listener = try answering(answer + "a" + answer + "b", andEnds: false)
            let client = client()
            for _ in 0..<5 {
                let answered = try await client.exchange(.get, "/").body
                #expect(answered == Array("a".utf8))
                try await Reactor.sleep(for: .milliseconds(1))
            }
            #expect(VirtualNetwork.current?.counters.connections == 5)
            listener.close()
        }
    }
}
