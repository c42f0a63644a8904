import Collections
import TestSupport
import Testing

@testable import HTTP

/// The codec: valid and invalid HTTP/1.1, split in every way.
@Suite struct HTTPParserTests {
    /// The result of parsing one message.
    struct Outcome: Equatable, CustomStringConvertible {
        var target: String
        var body: String
        var keepsAlive: Bool

        var description: String { "\(target) \"\(body)\" \(keepsAlive)" }
    }

    static func parser(
        _ kind: HTTPParser.Kind = .requests, headerLimit: Int = 1024, bodyLimit: Int = 64
    ) throws(HTTPError) -> HTTPParser {
        try HTTPParser(kind, headerLimit: headerLimit, bodyLimit: bodyLimit)
    }

    /// Returns the messages in `bytes`, parsed in pieces of `size`.
    static func parse(_ bytes: [UInt8], _ parser: HTTPParser, pieces size: Int = .max) throws -> [Outcome] {
        var outcomes: [Outcome] = []
        try parse(bytes, parser, pieces: size) { outcomes.append($0) }
        return outcomes
    }

    /// Passes on each message in `bytes`, parsed in pieces of `size`.
    private static func parse(
        _ bytes: [UInt8], _ parser: HTTPParser, pieces size: Int, _ take: (Outcome) -> Void
    ) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            var piece = rest.prefix(size)
            rest = rest.dropFirst(size)
            while !piece.isEmpty {
                let used = try piece.withUnsafeBytes { try parser.parse($0) }
                piece = piece.dropFirst(used)
                guard parser.state == .complete else { continue }
                let head = parser.head
                take(
                    Outcome(
                        target: String(decoding: head.target.buffer, as: UTF8.self),
                        body: String(decoding: parser.takeBody(), as: UTF8.self), keepsAlive: head.keeps_alive
                    ))
                parser.reset()
            }
        }
    }

    static let good: [(String, [Outcome])] = [
        ("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", [Outcome(target: "/a", body: "", keepsAlive: true)]),
        (
            "GET /a?b=c HTTP/1.1\r\nhOST:\t a:80 \t\r\nx:\r\n\r\n",
            [
                Outcome(target: "/a?b=c", body: "", keepsAlive: true)
            ]
        ),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n", [Outcome(target: "/", body: "", keepsAlive: true)]),
        ("GET / HTTP/1.0\r\n\r\n", [Outcome(target: "/", body: "", keepsAlive: false)]),
        (
            "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            [Outcome(target: "/", body: "", keepsAlive: true)]
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
            [
                Outcome(target: "/", body: "", keepsAlive: false)
            ]
        ),
        (
            "GET http://a:1/b HTTP/1.1\r\nHost: a\r\n\r\n",
            [Outcome(target: "http://a:1/b", body: "", keepsAlive: true)]
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", [Outcome(target: "*", body: "", keepsAlive: true)]),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            [
                Outcome(target: "/", body: "abc", keepsAlive: true)
            ]
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
            [
                Outcome(target: "/", body: "abc", keepsAlive: true)
            ]
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            [Outcome(target: "/", body: "", keepsAlive: true)]
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0A\r\n0123456789\r\n0\r\nt: 1\r\nu: 2\r\n\r\n",
            [Outcome(target: "/", body: "abc0123456789", keepsAlive: true)]
        ),
        (
            "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nPOST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET /4 HTTP/1.1\r\nHost: a\r\n\r\n",
            [
                Outcome(target: "/1", body: "", keepsAlive: true),
                Outcome(target: "/2", body: "", keepsAlive: true),
                Outcome(target: "/3", body: "x", keepsAlive: true),
                Outcome(target: "/4", body: "", keepsAlive: true),
            ]
        ),
    ]

    @Test(arguments: good)
    func goodMessagesInPiecesOfEverySize(_ text: String, _ expected: [Outcome]) throws {
        let bytes = Array(text.utf8)
        for size in [Int.max] + Array(1...bytes.count) {
            let outcomes = try Self.parse(bytes, try Self.parser(), pieces: size)
            #expect(outcomes == expected, "in pieces of \(size)")
        }
    }

    @Test(arguments: good)
    func goodMessagesCutAtEveryByte(_ text: String, _ expected: [Outcome]) throws {
        let bytes = Array(text.utf8)
        for cut in 1..<bytes.count {
            let parser = try Self.parser()
            let outcomes =
                try Self.parse(Array(bytes[..<cut]), parser) + Self.parse(Array(bytes[cut...]), parser)
            #expect(outcomes == expected, "cut at \(cut)")
        }
    }

    private static func request(_ fields: String) -> String { "POST / HTTP/1.1\r\n\(fields)\r\n\r\n" }

    static let bad: [(String, HTTPError)] = [
        // The request line.
        ("garbage\r\n\r\n", .malformed("the method is malformed")),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", .malformed("the method is malformed")),
        ("GE T / HTTP/1.1\r\nHost: a\r\n\r\n", .malformed("the HTTP version is malformed")),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", .malformed("the target is malformed")),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", .malformed("the HTTP version is malformed")),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", .unsupportedVersion),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", .malformed("the HTTP version is malformed")),
        ("GET /\r\n\r\n", .malformed("the target is malformed")),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", .unsupportedVersion),
        ("GET /\u{1}a HTTP/1.1\r\nHost: a\r\n\r\n", .malformed("the target is malformed")),
        ("GET / HTTP/1.1\nHost: a\n\n", .malformed("a line does not end with CR LF")),
        ("GET /\rHTTP/1.1\r\nHost: a\r\n\r\n", .malformed("the target is malformed")),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .malformed("the method is malformed")),
        (String(repeating: "\r\n", count: 5) + "GET / HTTP/1.1\r\n", .malformed("the method is malformed")),
        // Fields.
        (request("Host: a\r\nx : y"), .malformed("a field's name is malformed")),
        (request("Host: a\r\n: y"), .malformed("a field's name is malformed")),
        (request("Host: a\r\nxy"), .malformed("a field's name is malformed")),
        (request(" Host: a"), .malformed("a field's name is malformed")),
        (request("Host: a\r\nx\u{0}y: z"), .malformed("a field's name is malformed")),
        (request("Host: a\r\nx: \u{0}"), .malformed("a field's value is malformed")),
        (request("Host: a\r\nx: y\u{7F}"), .malformed("a field's value is malformed")),
        (request("Host: a\r\nx: y\rz"), .malformed("a line does not end with CR LF")),
        (request("Host: a\r\nx: y\nz: 1"), .malformed("a field's value is malformed")),
        (request("Host: a\r\nx: y\r\n z"), .malformed("a field is folded over lines")),
        (request("Host: a\r\nx:\r\n z"), .malformed("a field is folded over lines")),
        (request("Host: a\r\nx: y\r\n\tz"), .malformed("a field is folded over lines")),
        (request("Host: a\r\nx:\r\n \r\ny: z"), .malformed("a field is folded over lines")),
        (request("Host: a\r\nx: y\r\n \r\ny: z"), .malformed("a field is folded over lines")),
        (request("Host: a\r\nConnection: close;"), .malformed("a field's value is malformed")),
        // Host.
        (request("x: y"), .malformed("no Host")),
        (request("Host: a\r\nHost: a"), .malformed("more than one Host")),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", .malformed("more than one Host")),
        (request("Host: a b"), .malformed("Host is malformed")),
        (request("Host: a/b"), .malformed("Host is malformed")),
        (request("Host: a@b"), .malformed("Host is malformed")),
        // Lengths.
        (
            request("Host: a\r\nContent-Length: 1\r\nContent-Length: 2"),
            .malformed("Content-Length is contradictory")
        ),
        (request("Host: a\r\nContent-Length: 1, 2"), .malformed("Content-Length is contradictory")),
        (request("Host: a\r\nContent-Length: +1"), .malformed("Content-Length is malformed")),
        (request("Host: a\r\nContent-Length: -1"), .malformed("Content-Length is malformed")),
        (request("Host: a\r\nContent-Length: 0x1"), .malformed("Content-Length is malformed")),
        (request("Host: a\r\nContent-Length: 1 1"), .malformed("Content-Length is malformed")),
        (request("Host: a\r\nContent-Length:"), .malformed("Content-Length is malformed")),
        (
            request("Host: a\r\nContent-Length: 18446744073709551616"),
            .malformed("Content-Length is malformed")
        ),
        (request("Host: a\r\nContent-Length: 18446744073709551615"), .bodyTooLarge),
        (request("Host: a\r\nContent-Length: 65"), .bodyTooLarge),
        // Transfer codings.
        (
            request("Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"),
            .malformed("Transfer-Encoding is contradictory")
        ),
        (
            request("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1"),
            .malformed("Content-Length is malformed")
        ),
        (
            request("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            .malformed("Transfer-Encoding is contradictory")
        ),
        (request("Host: a\r\nTransfer-Encoding: gzip"), .unsupportedTransferCoding),
        (request("Host: a\r\nTransfer-Encoding: gzip, chunked"), .unsupportedTransferCoding),
        (
            request("Host: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
            .unsupportedTransferCoding
        ),
        (request("Host: a\r\nTransfer-Encoding: chunked, chunked"), .unsupportedTransferCoding),
        (request("Host: a\r\nTransfer-Encoding: chunked;x=y"), .unsupportedTransferCoding),
        (request("Host: a\r\nTransfer-Encoding: identity"), .unsupportedTransferCoding),
        (request("Host: a\r\nTransfer-Encoding:"), .unsupportedTransferCoding),
        (
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            .malformed("Transfer-Encoding in HTTP/1.0")
        ),
    ]

    @Test(arguments: bad)
    func badMessagesInPiecesOfEverySize(_ text: String, _ expected: HTTPError) throws {
        let bytes = Array(text.utf8)
        #expect(throws: expected) { try Self.parse(bytes, try Self.parser()) }
        for size in 1...bytes.count {
            // Which of several errors is found first may differ; what the client is told does not.
            let (outcomes, error) = try outcome(bytes, pieces: size)
            #expect(outcomes == [], "in pieces of \(size)")
            switch (error, expected) {
            case (.malformed, .malformed): break
            default: #expect(error == expected, "in pieces of \(size)")
            }
        }
    }

    @Test(arguments: [
        ("x\r\nabc\r\n0\r\n\r\n", HTTPError.malformed("a chunk is malformed")),
        ("3\nabc\r\n0\r\n\r\n", .malformed("a chunk's extensions are malformed or too large")),
        ("\r\nabc\r\n0\r\n\r\n", .malformed("a chunk is malformed")),
        ("-1\r\nabc\r\n0\r\n\r\n", .malformed("a chunk is malformed")),
        ("0x3\r\nabc\r\n0\r\n\r\n", .malformed("a chunk's extensions are malformed or too large")),
        ("3\r\nabcd\r\n0\r\n\r\n", .malformed("a chunk is malformed")),
        ("3 \r\nabc\r\n0\r\n\r\n", .malformed("a chunk's extensions are malformed or too large")),
        ("3;\r\nabc\r\n0\r\n\r\n", .malformed("a chunk's extensions are malformed or too large")),
        ("3;a=\r\nabc\r\n0\r\n\r\n", .malformed("a chunk's extensions are malformed or too large")),
        ("10000000000000000\r\na\r\n0\r\n\r\n", .malformed("a chunk is malformed")),
        ("FFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n", .bodyTooLarge),
        ("41\r\na\r\n0\r\n\r\n", .bodyTooLarge),
        ("0\r\nx y: 1\r\n\r\n", .malformed("a field's name is malformed")),
        ("0\r\nx: 1\r\n 2\r\n\r\n", .malformed("a field is folded over lines")),
        ("0\r\nContent-Length: 1\r\n\r\n", .malformed("Content-Length is malformed")),
    ])
    func badChunks(_ text: String, _ expected: HTTPError) throws {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        let bytes = Array((head + text).utf8)
        for size in [Int.max, 1, 2, 3, 7] {
            #expect(throws: (any Error).self, "in pieces of \(size)") {
                try Self.parse(bytes, try Self.parser(), pieces: size)
            }
        }
        #expect(throws: expected) { try Self.parse(bytes, try Self.parser()) }
    }

    @Test func headersAreBoundedHoweverTheyCome() throws {
        let line = "GET /\(String(repeating: "a", count: 2000)) HTTP/1.1\r\n"
        let field = "x: \(String(repeating: "y", count: 100))\r\n"
        let cases: [(String, HTTPError)] = [
            (line, .requestLineTooLong),
            ("GET / HTTP/1.1\r\nHost: a\r\nx: \(String(repeating: "y", count: 2000))", .headerTooLarge),
            // Many short fields, also when each arrives alone.
            ("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: field, count: 20), .headerTooLarge),
            (
                "GET / HTTP/1.1\r\nHost: a\r\n"
                    + String(repeating: "x:\(String(repeating: " ", count: 90))\r\n", count: 20),
                .headerTooLarge
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "x:\r\n", count: 120) + "\r\n",
                .headerTooLarge
            ),
        ]
        for (text, expected) in cases {
            for size in [Int.max, 1, 105, 1000] {
                #expect(throws: expected, "\(text.prefix(30)) in pieces of \(size)") {
                    try Self.parse(Array(text.utf8), try Self.parser(), pieces: size)
                }
            }
        }
    }

    @Test func chunkLinesAndTrailersAreBounded() throws {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        let long = String(repeating: "y", count: 1100)
        let extensions = String(repeating: "1;\(String(repeating: "x", count: 300))\r\na\r\n", count: 10)
        for text in [
            head + "1;\(long)", head + "0\r\nx: \(long)", head + extensions,
            head + String(repeating: "0", count: 1100),
        ] {
            for size in [Int.max, 1, 100] {
                #expect(throws: (any Error).self, "\(text.suffix(30)) in pieces of \(size)") {
                    try Self.parse(Array(text.utf8), try Self.parser(), pieces: size)
                }
            }
        }
    }

    @Test func chunkedBodiesAreBoundedInAll() throws {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        let fits = head + String(repeating: "1\r\na\r\n", count: 64) + "0\r\n\r\n"
        let parser = try Self.parser()
        #expect(try Self.parse(Array(fits.utf8), parser).first?.body.utf8.count == 64)
        let exceeds = head + String(repeating: "1\r\na\r\n", count: 65) + "0\r\n\r\n"
        #expect(throws: HTTPError.bodyTooLarge) { try Self.parse(Array(exceeds.utf8), parser) }
    }

    @Test func nothingIsTakenAfterAnError() throws {
        let parser = try Self.parser()
        #expect(throws: HTTPError.self) { try Self.parse(Array("garbage\r\n".utf8), parser) }
        #expect(throws: HTTPError.self) {
            try Self.parse(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8), parser)
        }
    }

    @Test func bytesAreKeptAsTheyAre() throws {
        let parser = try Self.parser()
        let bytes = Array("POST / HTTP/1.1\r\nHost: a\r\nX: \u{E9}e\u{301}\r\nContent-Length: 4\r\n\r\n".utf8)
        _ = try (bytes + [0, 255, 13, 10]).withUnsafeBytes { try parser.parse($0) }
        #expect(parser.takeBody() == [0, 255, 13, 10])
    }

    // MARK: Hostile input

    /// Returns the messages before the first error, and the error.
    private func outcome(_ bytes: [UInt8], pieces size: Int) throws -> ([Outcome], HTTPError?) {
        var outcomes: [Outcome] = []
        do {
            try Self.parse(bytes, try Self.parser(), pieces: size) { outcomes.append($0) }
            return (outcomes, nil)
        } catch let error as HTTPError {
            // This message means that one of Beast's assertions failed, which is a bug here.
            #expect(error != .malformed("the message is malformed"), "\(bytes) in pieces of \(size)")
            return (outcomes, error)
        }
    }

    /// Messages with a few corrupted bytes either parse or throw, and memory stays within its limit.
    @Test(arguments: 0..<4)
    func brokenMessagesEndWell(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let alphabet = Array("\r\n\t :;,=0aA\u{0}\u{7F}".utf8) + [255]
        for _ in 0..<2000 {
            guard let (text, _) = Self.good.randomElement(using: &random) else { return }
            var bytes = Array(text.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = alphabet.randomElement(using: &random) ?? 0
                case 1: bytes.insert(alphabet.randomElement(using: &random) ?? 0, at: place)
                default: bytes.remove(at: place)
                }
            }
            bytes += Array("\r\n\r\n".utf8)
            let whole = try outcome(bytes, pieces: .max)
            let size = Int.random(in: 1...20, using: &random)
            let inPieces = try outcome(bytes, pieces: size)
            // Splitting may delay an error but never yields another message.
            #expect(inPieces.0 == whole.0, "\(bytes) in pieces of \(size)")
            #expect(inPieces.1 == nil || whole.1 != nil, "\(bytes) in pieces of \(size)")
        }
    }
}
