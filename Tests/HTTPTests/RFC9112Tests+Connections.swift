import TestSupport
import Testing

/// RFC 9112, section 9, and the clauses of RFC 9110 on which it relies.
extension RFC9112Tests {
    // MARK: 9 Connections

    @Test func s9_3_connectionsPersistAsVersionAndOptionsSay() async throws {
        try await answers(
            ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"], 200)
        try await serve { connect in
            for fields in ["HTTP/1.0\r\n", "HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"] {
                let client = try connect()
                client.send("GET / \(fields)\r\n")
                #expect(client.readToEnd().hasSuffix("\r\n\r\nroot"))
                #expect(client.hasEnded && !client.wasReset)
            }
            let old = try connect()
            old.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(old.readResponse().head.contains("connection: keep-alive\r\n"))
        }
    }

    @Test func s9_3_theBodyOfARefusedRequestIsReadOrTheConnectionEnds() async throws {
        let body = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        try await answers(
            ["POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"], 404)
        try await refuses(["POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n\(body)"], 413)
    }

    @Test func s9_3_2_pipelinedRequestsAreAnsweredInOrder() async throws {
        try await serve { connect in
            let client = try connect()
            client.send((0..<500).map { post("Content-Length: \("\($0)".utf8.count)", "\($0)") }.joined())
            for number in 0..<500 { #expect(client.readResponse().body == "\(number)") }
        }
    }

    @Test func s9_6_afterCloseNothingIsProcessed() async throws {
        try await serve { connect in
            let client = try connect()
            let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            client.send(request + request)
            let text = client.readToEnd()
            #expect(text.ranges(of: "HTTP/1.1 200").count == 1)
            #expect(text.contains("connection: close\r\n"))
            #expect(!client.wasReset)
        }
    }

    @Test func s9_6_aHalfClosedRequestIsAnswered() async throws {
        try await serve { connect in
            for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
                let client = try connect()
                client.send(request)
                client.shutdownWrite()
                #expect(client.readToEnd().hasSuffix("\r\n\r\nroot"))
                #expect(client.hasEnded && !client.wasReset)
            }
        }
    }

    @Test func s9_6_anErrorIsNotDestroyedByAReset() async throws {
        try await serve { connect in
            for _ in 0..<20 {
                let client = try connect()
                client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n")
                client.send(Array(repeating: 120, count: 2_000_000))
                let text = client.readToEnd()
                #expect(text.hasPrefix("HTTP/1.1 413 "))
                #expect(!client.wasReset)
            }
        }
    }

    // MARK: RFC 9110

    @Test func rfc9110_s6_6_1_answersHaveADate() async throws {
        try await serve { connect in
            let client = try connect()
            for target in ["/", "/x"] {
                client.send("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
                let head = client.readResponse().head
                #expect(
                    head.firstMatch(
                        of: /\r\ndate: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n/) != nil
                )
            }
        }
    }

    @Test func rfc9110_s10_1_1_100ContinueIsSentWhenItIsExpected() async throws {
        try await serve { connect in
            let client = try connect()
            client.send(post("Expect: 100-continue\r\nContent-Length: 3"))
            #expect(client.readResponse().head == "HTTP/1.1 100 Continue\r\n\r\n")
            client.send("abc")
            #expect(client.readResponse().body == "abc")
            client.send("POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
            #expect(client.readResponse().head.hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test func rfc9110_s10_1_1_whatWouldFailIsToldAtOnce() async throws {
        let late: [(String, Int)] = [
            ("Expect: 100-continue\r\nContent-Length: 2000000", 413),
            ("Expect: 100-continue\r\nContent-Encoding: gzip\r\nContent-Length: 3", 415),
            ("Expect: something\r\nContent-Length: 3", 417),
        ]
        for (fields, status) in late { try await refuses([post(fields)], status, withAnotherBehind: false) }
    }

    @Test func rfc9110_s15_5_6_405HasAllow() async throws {
        try await serve { connect in
            let client = try connect()
            client.send(
                "GET /echo HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
            )
            #expect(client.readResponse().head.contains("\r\nallow: POST, OPTIONS\r\n"))
            #expect(client.readResponse().head.contains("\r\nallow: GET, HEAD, OPTIONS\r\n"))
        }
    }

    @Test func rfc9110_s15_5_16_codingsOfContentGet415() async throws {
        try await answers([post("Content-Encoding: gzip\r\nContent-Length: 3", "abc")], 415)
    }
}
