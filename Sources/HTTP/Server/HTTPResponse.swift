/// A response from a handler. The server adds length, date and connection fields.
public struct HTTPResponse: Sendable {
    /// The status code, of three digits.
    public var status: Int
    /// The media type of the body; nil without a body.
    public var contentType: StaticString?
    /// The body; not sent in response to HEAD, nor with a status that allows none.
    public var body: [UInt8]
    /// Further fields, each ending in CR LF.
    public var fields: [UInt8]

    /// Creates a response with a body.
    public init(status: Int = 200, contentType: StaticString?, body: [UInt8], fields: [UInt8] = []) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.fields = fields
    }

    /// Creates a response with one line of text.
    public init(status: Int, line: String) { self.init(status, line) }

    /// Creates a response with one line of text, or without a body.
    init(_ status: Int, _ line: String = "", fields: [UInt8] = []) {
        self.init(
            status: status, contentType: line.isEmpty ? nil : "text/plain; charset=utf-8",
            body: line.isEmpty ? [] : Array(line.utf8) + [UInt8(ascii: "\n")], fields: fields)
    }

    /// Whether the response has a body, possibly empty (RFC 9110, section 6.4.1).
    var hasContent: Bool { status >= 200 && status != 204 && status != 304 }

    /// The start line.
    var statusLine: StaticString {
        switch status {
        case 200: "HTTP/1.1 200 OK\r\n"
        case 204: "HTTP/1.1 204 No Content\r\n"
        case 400: "HTTP/1.1 400 Bad Request\r\n"
        case 404: "HTTP/1.1 404 Not Found\r\n"
        case 405: "HTTP/1.1 405 Method Not Allowed\r\n"
        case 408: "HTTP/1.1 408 Request Timeout\r\n"
        case 413: "HTTP/1.1 413 Content Too Large\r\n"
        case 414: "HTTP/1.1 414 URI Too Long\r\n"
        case 415: "HTTP/1.1 415 Unsupported Media Type\r\n"
        case 417: "HTTP/1.1 417 Expectation Failed\r\n"
        case 429: "HTTP/1.1 429 Too Many Requests\r\n"
        case 431: "HTTP/1.1 431 Request Header Fields Too Large\r\n"
        case 501: "HTTP/1.1 501 Not Implemented\r\n"
        case 503: "HTTP/1.1 503 Service Unavailable\r\n"
        case 505: "HTTP/1.1 505 HTTP Version Not Supported\r\n"
        default: "HTTP/1.1 500 Internal Server Error\r\n"
        }
    }
}

/// What a response's header says about the connection's persistence.
enum HTTPPersistence {
    /// Persistent, the default of HTTP/1.1.
    case implied
    /// Persistent, stated explicitly for HTTP/1.0.
    case keepAlive
    case close

    var line: StaticString {
        switch self {
        case .implied: ""
        case .keepAlive: "connection: keep-alive\r\n"
        case .close: "connection: close\r\n"
        }
    }
}

extension HTTPResponse {
    /// The maximum size of a header besides the given fields, in bytes.
    static let headRoom = 512
    /// Every 503 says when to retry (RFC 9110, section 10.2.3): most overloads pass within a second, and
    /// retrying too early costs little.
    private static let retryAfter: StaticString = "retry-after: 1\r\n"

    /// Writes the header into `target`, which must have room for it. Returns its length.
    func writeHead(
        into target: UnsafeMutableRawBufferPointer, date: [UInt8], common: StaticString,
        _ persistence: HTTPPersistence
    ) -> Int {
        var writer = Writer(target: target)
        writer.add(statusLine)
        if hasContent {
            if let contentType {
                writer.add("content-type: ")
                writer.add(contentType)
                writer.add("\r\n")
            }
            writer.add("content-length: ")
            writer.add(decimal: body.count)
            writer.add("\r\n")
        }
        writer.add(date)
        writer.add(common)
        if status == 503 { writer.add(Self.retryAfter) }
        writer.add(fields)
        writer.add(persistence.line)
        writer.add("\r\n")
        return writer.count
    }

    private struct Writer {
        let target: UnsafeMutableRawBufferPointer
        var count = 0

        mutating func add(_ text: StaticString) {
            add(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        }

        mutating func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes { add($0) } }

        mutating func add(_ bytes: UnsafeRawBufferPointer) {
            guard let base = bytes.baseAddress, target.count - count >= bytes.count else { return }
            target.baseAddress?.advanced(by: count).copyMemory(from: base, byteCount: bytes.count)
            count += bytes.count
        }

        mutating func add(decimal number: Int) {
            var digits: InlineArray<20, UInt8> = .init(repeating: 0)
            var start = 20
            var rest = UInt(max(number, 0))
            repeat {
                start -= 1
                digits[start] = UInt8(truncatingIfNeeded: 48 + rest % 10)
                rest /= 10
            } while rest > 0
            for index in start..<20 where count < target.count {
                target[count] = digits[index]
                count += 1
            }
        }
    }
}
