import Reactor
import TestSupport
import Testing

@testable import HTTP

/// The requirements that RFC 9112 (and RFC 9110, where noted) makes of a server, one test per clause, over
/// kernel sockets.
@Suite(.timeLimit(.minutes(5))) struct RFC9112Tests {
    /// A server on a loop of its own: `/` serves GET, `/echo` POST.
    private final class Service: Sendable {
        let loop: EventLoop
        let server: HTTPServer
        var port: UInt16 { server.localAddress.port }

        init() async throws {
            let loop = try EventLoop.start(.auto, name: "test-http")
            self.loop = loop
            server = try await loop.run {
                var limits = HTTPServer.Limits()
                limits.maximumBodySize = 1 << 20
                return try HTTPServer.start(
                    on: [SocketAddress(ip: "127.0.0.1", port: 0)], limits: limits,
                    routes: [
                        HTTPRoute("/", [.get]) { _ in
                            HTTPResponse(contentType: "text/plain", body: Array("root".utf8))
                        },
                        HTTPRoute("/echo", [.post]) { request in
                            HTTPResponse(contentType: "text/plain", body: request.body)
                        },
                        HTTPRoute("/none", [.get]) { _ in
                            HTTPResponse(status: 204, contentType: nil, body: [])
                        },
                    ])
            }
        }

        func stop() async {
            await loop.perform { [server] in await server.stop() }
            loop.stop()
        }
    }

    /// Runs `body` with connections to one server.
    func serve(_ body: (_ connect: () throws -> LoopbackSocket) async throws -> Void) async throws {
        let service = try await Service()
        let port = service.port
        do {
            try await body { try LoopbackSocket(port: port) }
        } catch {
            await service.stop()
            throw error
        }
        await service.stop()
    }

    /// Sends each request on a connection of its own, followed by another, and expects a single response with
    /// this status and then the end.
    func refuses(_ requests: [String], _ status: Int, withAnotherBehind: Bool = true) async throws {
        try await serve { connect in
            for request in requests {
                let client = try connect()
                client.send(request + (withAnotherBehind ? "GET / HTTP/1.1\r\nHost: a\r\n\r\n" : ""))
                let text = client.readToEnd()
                #expect(text.hasPrefix("HTTP/1.1 \(status) "), "\(request.prefix(60)): \(text)")
                #expect(text.ranges(of: "HTTP/1.1 ").count == 1, "\(request.prefix(60)): \(text)")
                #expect(text.contains("connection: close\r\n"))
                #expect(client.hasEnded && !client.wasReset)
            }
        }
    }

    /// Sends each request on one connection and expects a response with this status on a connection that
    /// stays open.
    func answers(_ requests: [String], _ status: Int, body: String? = nil) async throws {
        try await serve { connect in
            let client = try connect()
            for request in requests {
                client.send(request)
                let (head, answer) = client.readResponse()
                #expect(head.hasPrefix("HTTP/1.1 \(status) "), "\(request.prefix(60)): \(head)")
                if let body { #expect(answer == body, "\(request.prefix(60))") }
            }
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(client.readResponse().body == "root")
        }
    }

    func post(_ fields: String, _ body: String = "") -> String {
        "POST /echo HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n\(body)"
    }

    // MARK: 2 Message

    @Test func s2_2_messagesAreOctets() async throws {
        try await answers(["GET / HTTP/1.1\r\nHost: a\r\nx: \u{E9}e\u{301}\u{1F600}\r\n\r\n"], 200)
    }

    @Test func s2_2_aBareCRIsInvalid() async throws {
        try await refuses(
            ["GET / HTTP/1.1\r\nHost: a\r\nx: a\rb\r\n\r\n", "GET / HTTP/1.1\rHost: a\r\n\r\n"], 400)
    }

    @Test func s2_2_aBareLFIsNoLineEnd() async throws {
        try await refuses(["GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\nx: y\r\n\r\n"], 400)
    }

    @Test func s2_2_emptyLinesBeforeARequestAreSkipped() async throws {
        try await answers(
            ["\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"], 200)
    }

    @Test func s2_2_whitespaceBeforeTheFirstFieldIsRefused() async throws {
        try await refuses(
            ["GET / HTTP/1.1\r\n Host: a\r\n\r\n", "GET / HTTP/1.1\r\n\tx: y\r\nHost: a\r\n\r\n"], 400)
    }

    @Test func s2_2_whatIsNotHTTPGets400AndAnEnd() async throws {
        try await refuses(
            ["\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", "SSH-2.0-x\r\n\r\n", "{\"jsonrpc\":\"2.0\"}\r\n"], 400)
    }

    @Test func s2_3_otherVersionsGet505() async throws {
        try await refuses(["GET / HTTP/2.0\r\nHost: a\r\n\r\n", "GET / HTTP/0.9\r\nHost: a\r\n\r\n"], 505)
        try await refuses(
            ["GET / HTTP/11\r\nHost: a\r\n\r\n", "GET / http/1.1\r\nHost: a\r\n\r\n", "GET /\r\n\r\n"], 400)
    }

    // MARK: 3 Request line

    @Test func s3_requestLinesOf8000OctetsAreRead() async throws {
        try await answers(["GET /?\(String(repeating: "x", count: 8000)) HTTP/1.1\r\nHost: a\r\n\r\n"], 200)
    }

    @Test func s3_longerTargetsGet414() async throws {
        try await refuses(["GET /?\(String(repeating: "x", count: 20_000)) HTTP/1.1\r\nHost: a\r\n\r\n"], 414)
    }

    @Test func s3_whitespaceInTheTargetIsRefused() async throws {
        try await refuses(
            ["GET / x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\t HTTP/1.1\r\nHost: a\r\n\r\n"], 400)
    }

    @Test func s3_1_methodsAreCaseSensitive() async throws {
        try await answers(["get / HTTP/1.1\r\nHost: a\r\n\r\n", "GETGET / HTTP/1.1\r\nHost: a\r\n\r\n"], 501)
    }

    @Test func s3_2_HostIsThereOnceAndValid() async throws {
        try await refuses(
            [
                "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nx: y\r\nhost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
                "GET http://a/ HTTP/1.1\r\n\r\n", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
            ], 400)
        try await answers(
            ["GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1]:8484\r\n\r\n"], 200)
    }

    @Test func s3_2_2_absoluteFormIsAcceptedAndHostIgnored() async throws {
        try await answers(
            [
                "GET http://node.example/ HTTP/1.1\r\nHost: other\r\n\r\n",
                "GET http://a:1/?x HTTP/1.1\r\nHost: a\r\n\r\n",
            ],
            200)
    }

    @Test func s3_2_3_authorityFormIsForCONNECT() async throws {
        try await refuses(["GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"], 400)
        try await answers(["CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"], 501)
    }

    @Test func s3_2_4_asteriskFormIsForOPTIONS() async throws {
        try await refuses(["GET * HTTP/1.1\r\nHost: a\r\n\r\n"], 400)
        try await answers(["OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"], 204)
    }

    // MARK: 4 Status line

    @Test func s4_statusLinesHaveTheirForm() async throws {
        try await serve { connect in
            for line in ["GET /", "GET /x", "DELETE /", "FOO /", "OPTIONS *", "GET /none"] {
                let client = try connect()
                client.send("\(line) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                let bytes = Array(client.readToEnd().utf8.prefix(13))
                #expect(Array(bytes.prefix(9)) == Array("HTTP/1.1 ".utf8))
                #expect(bytes[9...11].allSatisfy { (48...57).contains($0) } && bytes[12] == 32)
            }
        }
    }

    // MARK: 5 Fields

    @Test func s5_1_whitespaceBeforeTheColonIsRefused() async throws {
        try await refuses(
            ["GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nx\t: y\r\n\r\n"], 400)
    }

    @Test func s5_1_whitespaceAroundAValueIsNotPartOfIt() async throws {
        try await answers(
            [
                post("Content-Length: \t 3 \t", "abc"),
                post("Transfer-Encoding:\tchunked ", "3\r\nabc\r\n0\r\n\r\n"),
            ], 200, body: "abc")
    }

    @Test func s5_1_namesAreTokens() async throws {
        try await refuses(
            [
                "GET / HTTP/1.1\r\nHost: a\r\nx y: z\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n: z\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\n\u{E9}: z\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nx\r\n\r\n",
            ], 400)
    }

    @Test func s5_2_foldedFieldsAreRefused() async throws {
        try await refuses(
            [
                "GET / HTTP/1.1\r\nHost: a\r\nx: y\r\n z\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nx:\r\n\tz\r\n\r\n",
            ], 400)
    }

    @Test func s5_NULIsRefused() async throws {
        try await refuses(
            ["GET / HTTP/1.1\r\nHost: a\r\nx: \u{0}\r\n\r\n", "GET /\u{0} HTTP/1.1\r\nHost: a\r\n\r\n"], 400)
    }

    @Test func s5_4_headersThatAreTooLargeGet431() async throws {
        try await refuses(
            [
                "GET / HTTP/1.1\r\nHost: a\r\nx: \(String(repeating: "y", count: 20_000))\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "x: y\r\n", count: 200) + "\r\n",
            ], 431)
    }

    // MARK: 6 Body

    @Test func s6_1_chunkedIsUnderstood() async throws {
        try await answers(
            [
                post("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
                post("Transfer-Encoding: CHUNKED", "1\r\na\r\n002\r\nbc\r\n000\r\n\r\n"),
            ], 200, body: "abc")
    }

    @Test func s6_1_otherCodingsGet501() async throws {
        try await refuses(
            [
                post("Transfer-Encoding: gzip"), post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
                post("Transfer-Encoding: identity"), post("Transfer-Encoding: chunked, identity"),
            ], 501)
    }

    @Test func s6_1_bothLengthsAreRefusedAndTheConnectionEnds() async throws {
        try await refuses(
            [
                post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
                post("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
            ], 400)
    }

    @Test func s6_1_HTTP10HasNoTransferCodings() async throws {
        try await refuses(
            ["POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n"],
            400)
    }

    @Test func s6_1_answersHaveNoTransferCoding() async throws {
        try await serve { connect in
            for version in ["1.0", "1.1"] {
                let client = try connect()
                client.send("GET / HTTP/\(version)\r\nHost: a\r\nTE: chunked\r\nConnection: close\r\n\r\n")
                #expect(!client.readToEnd().lowercased().contains("transfer-encoding"))
            }
        }
    }

    @Test func s6_3_invalidLengthsAreRefusedAndTheConnectionEnds() async throws {
        let lengths = ["x", "-1", "+1", "1.0", "0x1", "1 1", "", "1,", "1, 2", "99999999999999999999", "１"]
        try await refuses(lengths.map { post("Content-Length: \($0)", "a") }, 400)
        try await refuses([post("Content-Length: 1\r\nContent-Length: 2", "ab")], 400)
        try await answers(
            [post("Content-Length: 1\r\nContent-Length: 1", "a"), post("Content-Length: 1, 1", "a")], 200,
            body: "a")
    }

    @Test func s6_3_withoutALengthThereIsNoBody() async throws {
        try await answers(["POST /echo HTTP/1.1\r\nHost: a\r\n\r\n"], 200, body: "")
    }

    @Test func s6_3_answersToHEADAnd204HaveNoBody() async throws {
        try await serve { connect in
            let client = try connect()
            client.send(
                "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
            )
            let head = client.readResponse(hasBody: false).head
            #expect(head.hasPrefix("HTTP/1.1 200 ") && head.contains("content-length: 4\r\n"))
            let none = client.readResponse().head
            #expect(none.hasPrefix("HTTP/1.1 204 ") && !none.contains("content-length"))
            #expect(client.readResponse().body == "root")
        }
    }

    @Test func s6_3_anIncompleteBodyIsNoRequest() async throws {
        try await serve { connect in
            for request in [
                post("Content-Length: 5", "abc"), post("Transfer-Encoding: chunked", "3\r\nabc\r\n"),
            ] {
                let client = try connect()
                client.send(request)
                client.shutdownWrite()
                #expect(client.readToEnd().hasPrefix("HTTP/1.1 400 "))
            }
        }
    }

    // MARK: 7 Transfer codings

    @Test func s7_1_chunkSizesDoNotOverflow() async throws {
        try await refuses(
            [
                post("Transfer-Encoding: chunked", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
                post("Transfer-Encoding: chunked", "-3\r\nabc\r\n0\r\n\r\n"),
                post("Transfer-Encoding: chunked", "g\r\nabc\r\n0\r\n\r\n"),
                post("Transfer-Encoding: chunked", "3\r\nabcd\r\n0\r\n\r\n"),
            ], 400)
        try await refuses([post("Transfer-Encoding: chunked", "FFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n")], 413)
    }

    @Test func s7_1_1_unknownChunkExtensionsAreIgnored() async throws {
        try await answers(
            [post("Transfer-Encoding: chunked", "3;a;b=c;d=\"e;f\"\r\nabc\r\n0;z\r\n\r\n")], 200, body: "abc")
    }

    @Test func s7_1_1_chunkExtensionsAreBounded() async throws {
        let chunk = "1;\(String(repeating: "x", count: 5_000))\r\na\r\n"
        try await refuses(
            [post("Transfer-Encoding: chunked", String(repeating: chunk, count: 5) + "0\r\n\r\n")], 400)
    }

    @Test func s7_1_2_trailersAreNotMergedIntoTheHeader() async throws {
        try await answers(
            [
                post(
                    "Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\nContent-Encoding: gzip\r\nHost: b\r\n\r\n"
                )
            ], 200, body: "abc")
    }
}
