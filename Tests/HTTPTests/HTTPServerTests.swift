import Reactor
import Testing
import VirtualIO

@testable import HTTP

/// The server's responses, on a virtual network.
@Suite struct HTTPServerTests {
    @Test func answersInFull() throws {
        try withServer { server, _ in
            let client = try await RawClient.connect(server.localAddress)
            #expect(
                try await client.ask(get("/hello")) == """
                    HTTP/1.1 200 OK\r
                    content-type: text/plain\r
                    content-length: 5\r
                    date: Sun, 06 Nov 1994 08:49:37 GMT\r
                    x-common: 1\r
                    \r
                    hello
                    """)
            #expect(
                try await client.ask(echo("abc")).hasSuffix(
                    "content-length: 3\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nx-common: 1\r\n\r\nabc"))
            #expect(server.connectionCount == 1)
            client.tcp.close()
            try await client.wait()
            #expect(server.connectionCount == 0)
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() throws {
        try withServer { server, service in
            let client = try await RawClient.connect(server.localAddress)
            let requests = (0..<3000).map { $0 % 3 == 0 ? get("/hello") : echo("<\($0)>") }
            client.send(requests.joined())
            try await client.wait(.seconds(2))
            #expect(service.answered == 3000)
            let text = client.take()
            var position = text.startIndex
            for number in 0..<3000 where number % 3 != 0 {
                guard let found = text[position...].firstRange(of: "<\(number)>") else {
                    Issue.record("no answer \(number)")
                    return
                }
                position = found.upperBound
            }
        }
    }

    @Test func pipelinedBehindASlowOneWait() throws {
        try withServer { server, _ in
            let client = try await RawClient.connect(server.localAddress)
            client.send(get("/slow") + get("/hello"))
            try await client.wait(.seconds(7))
            #expect(client.text.isEmpty)
            try await client.wait(.seconds(2))
            #expect(client.text.hasSuffix("hello"))
            #expect(client.text.contains("slow"))
        }
    }

    @Test func aHalfClosedRequestIsAnswered() throws {
        try withServer { server, _ in
            for request in [
                get("/hello"), echo("hello"), "GET /hello HTTP/1.0\r\n\r\n", echo("x") + get("/hello"),
            ] {
                let client = try await RawClient.connect(server.localAddress)
                client.send(request)
                client.tcp.closeWrite()
                try await client.wait()
                #expect(client.text.hasSuffix("\r\n\r\nhello"), "\(client.text)")
                #expect(client.isClosed && client.error == nil)
            }
            // Also while its response takes a while; interim responses probe whether the client is still
            // there.
            let client = try await RawClient.connect(server.localAddress)
            client.send(get("/slow"))
            client.tcp.closeWrite()
            try await client.wait(.seconds(9))
            #expect(client.text.hasPrefix("HTTP/1.1 100 Continue\r\n\r\n"))
            #expect(client.text.hasSuffix("\r\n\r\nslow"))
            #expect(client.isClosed && client.error == nil)
        }
    }

    @Test func halfARequestIsNoRequest() throws {
        try withServer { server, service in
            for request in ["GET", get("/hello").dropLast(2), echo("abc").dropLast()] as [any StringProtocol]
            {
                let client = try await RawClient.connect(server.localAddress)
                client.send(String(request))
                client.tcp.closeWrite()
                try await client.wait()
                #expect(client.text.hasPrefix("HTTP/1.1 400 "))
                #expect(client.isClosed)
            }
            let silent = try await RawClient.connect(server.localAddress)
            silent.tcp.closeWrite()
            try await silent.wait()
            #expect(silent.text.isEmpty && silent.isClosed)
            #expect(service.answered == 0)
        }
    }

    @Test func expectationsAreAnswered() throws {
        try withServer(limits: { $0.maximumBodySize = 100 }) { server, service in
            let client = try await RawClient.connect(server.localAddress)
            let head = "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n"
            #expect(
                try await client.ask(head + "Content-Length: 3\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            #expect(try await client.ask("abc").hasSuffix("\r\n\r\nabc"))
            // If the body comes with the header, there is nothing to wait for.
            #expect(try await client.ask(head + "Content-Length: 3\r\n\r\nabc").hasPrefix("HTTP/1.1 200 "))
            #expect(try await client.ask(head + "Content-Length: 0\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
            // Chunked bodies too.
            #expect(
                try await client.ask(head + "Transfer-Encoding: chunked\r\n\r\n")
                    == "HTTP/1.1 100 Continue\r\n\r\n")
            #expect(try await client.ask("1\r\nx\r\n0\r\n\r\n").hasSuffix("\r\n\r\nx"))
            // HTTP/1.0 has no interim responses.
            #expect(
                try await client.ask(
                    "POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n") == "")
            #expect(try await client.ask("x").hasPrefix("HTTP/1.1 200 "))
            #expect(service.answered == 5)
            let refused: [(String, String)] = [
                (head + "Content-Length: 101\r\n\r\n", "413"),
                (head + "Content-Length: 1\r\nContent-Encoding: gzip\r\n\r\n", "415"),
                ("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: more\r\nContent-Length: 1\r\n\r\n", "417"),
                (
                    "POST /hello HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
                    "405"
                ),
                ("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", "404"),
            ]
            for (request, status) in refused {
                let client = try await RawClient.connect(server.localAddress)
                let answer = try await client.ask(request)
                #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
                #expect(answer.contains("connection: close\r\n"))
                #expect(client.hasServerEnded)
            }
        }
    }

    @Test func methodsAndTargets() throws {
        try withServer { server, _ in
            let client = try await RawClient.connect(server.localAddress)
            func answer(_ line: String) async throws -> String {
                try await client.ask("\(line)\r\nHost: a\r\n\r\n")
            }
            let head = try await answer("HEAD /hello HTTP/1.1")
            #expect(head.hasPrefix("HTTP/1.1 200 ") && head.hasSuffix("\r\n\r\n"))
            #expect(head.contains("content-length: 5\r\n"))
            let get = try await answer("GET /echo HTTP/1.1")
            #expect(get.hasPrefix("HTTP/1.1 405 ") && get.contains("allow: POST, OPTIONS\r\n"))
            let delete = try await answer("DELETE /hello HTTP/1.1")
            #expect(delete.hasPrefix("HTTP/1.1 405 ") && delete.contains("allow: GET, HEAD, OPTIONS\r\n"))
            let none = try await answer("GET /none HTTP/1.1")
            #expect(none.hasPrefix("HTTP/1.1 204 ") && !none.contains("content-length"))
            let options = try await answer("OPTIONS /hello HTTP/1.1")
            #expect(options.hasPrefix("HTTP/1.1 204 ") && options.contains("allow: GET, HEAD, OPTIONS\r\n"))
            let all = try await answer("OPTIONS * HTTP/1.1")
            #expect(all.hasPrefix("HTTP/1.1 204 ") && all.contains("allow: POST, GET, HEAD, OPTIONS\r\n"))
            for target in [
                "/hello?x=/y", "http://node.example/hello", "HTTP://node.example:80/hello?x",
                "https://a/hello",
            ] {
                #expect(try await answer("GET \(target) HTTP/1.1").hasPrefix("HTTP/1.1 200 "), "\(target)")
            }
            for target in [
                "/", "/hell", "/hello/", "//hello", "/HELLO", "http://a", "http://a?/hello", "/echo%2F",
            ] {
                #expect(try await answer("GET \(target) HTTP/1.1").hasPrefix("HTTP/1.1 404 "), "\(target)")
            }
            for line in ["FOO /hello HTTP/1.1", "TRACE /hello HTTP/1.1", "CONNECT a:1 HTTP/1.1"] {
                #expect(try await answer(line).hasPrefix("HTTP/1.1 501 "), "\(line)")
            }
            #expect(server.connectionCount == 1)
            for line in [
                "GET hello HTTP/1.1", "GET * HTTP/1.1", "GET http:///hello HTTP/1.1",
                "GET ftp://a/hello HTTP/1.1",
            ] {
                let client = try await RawClient.connect(server.localAddress)
                let text = try await client.ask("\(line)\r\nHost: a\r\n\r\n")
                #expect(text.hasPrefix("HTTP/1.1 400 ") && client.hasServerEnded, "\(line)")
            }
        }
    }

    @Test func codingsOfContent() throws {
        try withServer { server, service in
            let client = try await RawClient.connect(server.localAddress)
            let gzip = try await client.ask(echo("abc", "Content-Encoding: gzip\r\n"))
            #expect(gzip.hasPrefix("HTTP/1.1 415 ") && gzip.contains("accept-encoding: identity\r\n"))
            #expect(service.answered == 0)
            // The body was read and discarded: the connection continues.
            #expect(
                try await client.ask(echo("abc", "Content-Encoding: Identity\r\n")).hasSuffix("\r\n\r\nabc"))
        }
    }

    @Test func connectionsStayAsTheVersionHasIt() throws {
        try withServer { server, _ in
            let cases: [(String, String, Bool)] = [
                (get("/hello"), "", true),
                (get("/hello", "Connection: close\r\n"), "connection: close\r\n", false),
                (get("/hello", "Connection: x, CLOSE\r\n"), "connection: close\r\n", false),
                ("GET /hello HTTP/1.0\r\n\r\n", "connection: close\r\n", false),
                ("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "connection: keep-alive\r\n", true),
            ]
            for (request, field, stays) in cases {
                let client = try await RawClient.connect(server.localAddress)
                let answer = try await client.ask(request)
                #expect(answer.hasPrefix("HTTP/1.1 200 "))
                #expect(field.isEmpty ? !answer.contains("connection:") : answer.contains(field), "\(answer)")
                #expect(client.hasServerEnded == !stays)
                if stays { #expect(try await client.ask(request) == answer) }
                client.tcp.close()
            }
        }
    }

    @Test func whatIsNotHTTPGetsItsErrorAndAnEnd() throws {
        try withServer(limits: {
            $0.maximumHeaderSize = 1000
            $0.maximumBodySize = 1000
        }) { server, service in
            let long = String(repeating: "y", count: 1000)
            let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            let cases = [
                ("garbage\r\n\r\n", "400"), ("GET /hello HTTP/1.1\r\n\r\n", "400"),
                ("GET /hello HTTP/3.0\r\n\r\n", "505"),
                ("GET /\(long) HTTP/1.1\r\n", "414"), (get("/hello", "x: \(long)\r\n"), "431"),
                (echo(long + "y"), "413"), (chunked + "3E9\r\n", "413"), (chunked + "x\r\n", "400"),
                ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"),
            ]
            for (request, status) in cases {
                let client = try await RawClient.connect(server.localAddress)
                // The bytes that follow are never taken for a request.
                let answer = try await client.ask(request + get("/hello"))
                #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(request.prefix(40)): \(answer)")
                #expect(answer.contains("connection: close\r\n"))
                #expect(answer.ranges(of: "HTTP/1.1 ").count == 1)
                #expect(client.hasServerEnded && !client.isClosed)
                client.tcp.close()
            }
            #expect(service.answered == 0)
        }
    }

    @Test func anErrorReachesAClientThatStillSends() throws {
        try withServer(limits: { $0.maximumBodySize = 1000 }) { server, _ in
            let client = try await RawClient.connect(server.localAddress)
            client.send(echo(String(repeating: "x", count: 4 << 20)))
            // Longer than a client that sends nothing may take to close.
            for _ in 0..<80 {
                try await client.wait(.milliseconds(100))
                client.send("more")
            }
            #expect(client.text.hasPrefix("HTTP/1.1 413 "))
            #expect(client.hasServerEnded && !client.isClosed)
            client.tcp.close()
            try await client.wait()
            #expect(client.error == nil)
            #expect(server.connectionCount == 0)
        }
    }

    /// The same requests and responses on a network with delays, losses and slow links.
    @Test(arguments: 0..<5)
    func answersSurviveABadNetwork(_ seed: UInt64) throws {
        try withServer(seed: seed) { server, service in
            VirtualNetwork.current?.defaultLink = .init(
                latency: .milliseconds(20), jitter: .milliseconds(80), bytesPerSecond: 200_000,
                lossPerMille: 50)
            let client = try await RawClient.connect(server.localAddress)
            var expected = 0
            for round in 0..<20 {
                client.send(echo("<\(round)>" + String(repeating: "x", count: round * 997)) + get("/hello"))
                expected += 2
                try await client.wait(.seconds(3))
            }
            try await client.wait(.seconds(20))
            #expect(service.answered == expected)
            #expect(client.text.ranges(of: "HTTP/1.1 200 OK").count == expected)
            client.tcp.close()
            try await client.wait(.seconds(5))
            #expect(server.connectionCount == 0)
        }
    }

    @Test func brokenConnectionsLeaveNothing() throws {
        try withServer { server, service in
            for request in ["", "GET", get("/slow"), get("/big"), echo("abc").dropLast()]
                as [any StringProtocol]
            {
                let client = try await RawClient.connect(server.localAddress)
                client.send(String(request))
                try await client.wait(.milliseconds(5))
                client.tcp.abort()
                try await client.wait(.seconds(1))
                #expect(server.connectionCount == 0, "\(request)")
            }
            #expect(service.cancelled == 1)
        }
    }

    @Test func stopLetsAnswersEnd() throws {
        try withServer { server, service in
            let idle = try await RawClient.connect(server.localAddress)
            let slow = try await RawClient.connect(server.localAddress)
            slow.send(get("/slow"))
            try await slow.wait(.milliseconds(7_500))
            let start = Reactor.now
            await server.stop()
            #expect(Reactor.now - start < .seconds(1))
            try await slow.wait()
            #expect(slow.text.hasSuffix("slow") && slow.text.contains("connection: close"))
            #expect(idle.hasServerEnded)
            #expect(service.cancelled == 0)
            await #expect(throws: ReactorError.connectionRefused) {
                try await RawClient.connect(server.localAddress)
            }
        }
        try withServer { server, service in
            let slow = try await RawClient.connect(server.localAddress)
            slow.send(get("/slow"))
            try await slow.wait()
            await server.stop()
            #expect(service.cancelled == 1)
            #expect(server.connectionCount == 0)
        }
    }
}
