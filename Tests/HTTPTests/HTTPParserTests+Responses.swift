import Testing

@testable import HTTP

extension HTTPParserTests {
    @Test func responses() throws {
        let cases: [(String, Int32, String, Bool)] = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, "ab", true),
            ("HTTP/1.1 204 \r\n\r\n", 204, "", true),
            (
                "HTTP/1.1 503 x y\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\n\r\n",
                503, "a", false
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 200, "a", false),
        ]
        for (text, status, body, keepsAlive) in cases {
            let parser = try Self.parser(.responses)
            let bytes = Array(text.utf8)
            for byte in bytes { _ = try [byte].withUnsafeBytes { try parser.parse($0) } }
            #expect(parser.state == .complete)
            #expect(parser.head.status == status)
            #expect(parser.head.keeps_alive == keepsAlive)
            #expect(parser.takeBody() == Array(body.utf8))
        }
    }

    @Test func aResponseWithoutLengthEndsWithItsConnection() throws {
        let parser = try Self.parser(.responses)
        let bytes = Array("HTTP/1.1 200 OK\r\n\r\nabc".utf8)
        _ = try bytes.withUnsafeBytes { try parser.parse($0) }
        #expect(parser.state == .body)
        try parser.end()
        #expect(parser.state == .complete)
        #expect(parser.takeBody() == Array("abc".utf8))
        let cut = try Self.parser(.responses)
        let part = Array("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc".utf8)
        _ = try part.withUnsafeBytes { try cut.parse($0) }
        #expect(throws: HTTPError.truncated) { try cut.end() }
    }
}
