import Bytes
import CShims

/// The codec of messages: bytes in, a header and a body out, one message after another. Boost.Beast's parser
/// implements HTTP/1.1 (RFC 9112); this class adds what Beast leaves open: transfer codings, Host, and limits
/// on memory.
///
/// Each connection has its own. Values read from it are valid until `reset`.
final class HTTPParser {
    /// How much of the message has arrived.
    enum State: Comparable {
        /// Nothing, or part of the header.
        case header
        /// The whole header.
        case body
        /// The whole message.
        case complete
    }

    enum Kind {
        case requests, responses
    }

    /// The maximum memory to reserve for an announced body, in bytes; beyond it, memory grows as the body
    /// arrives.
    private static let firstReservation = 64 * 1024

    private let parser: OpaquePointer
    private let kind: Kind
    private(set) var state = State.header
    /// The part of the body that has arrived, with its transfer coding removed.
    private(set) var body: [UInt8] = []
    /// Whether to keep the body; an unwanted one is only counted.
    private var keepsBody = true

    init(_ kind: Kind, headerLimit: Int, bodyLimit: Int) throws(HTTPError) {
        guard
            let parser = apus_http_parser_create(
                kind == .requests, UInt32(clamping: headerLimit), UInt64(clamping: bodyLimit))
        else { throw .outOfMemory }
        self.parser = parser
        self.kind = kind
    }

    deinit { apus_http_parser_destroy(parser) }

    /// Whether any of the message has arrived.
    var hasBegun: Bool { state != .header || apus_http_parser_has_begun(parser) }

    /// The header, once `state` is past it.
    var head: apus_http_head { apus_http_parser_head(parser).pointee }

    /// Parses bytes up to the end of the message. Returns the number parsed. Must not be called after an
    /// error.
    func parse(_ bytes: UnsafeRawBufferPointer) throws(HTTPError) -> Int {
        var used = 0
        var step = apus_http_step()
        let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        while used < bytes.count, state != .complete {
            apus_http_parser_feed(parser, base.map { $0 + used }, bytes.count - used, &step)
            used += step.consumed
            if step.outcome < 0 { throw error(step.outcome) }
            if state == .header, step.outcome == apus_http_header || step.outcome == apus_http_complete {
                state = .body
                if kind == .requests { try checkRequest() }
            }
            if step.body.count > 0 { keep(step.body) }
            if step.outcome == apus_http_complete { state = .complete }
            if step.outcome == apus_http_need_more { break }
        }
        return used
    }

    /// Records that the peer has closed its side, which properly ends only a response without a length.
    func end() throws(HTTPError) {
        var step = apus_http_step()
        apus_http_parser_end(parser, &step)
        if step.outcome < 0 { throw error(step.outcome) }
        state = .complete
    }

    /// Discards the message to make room for the next one.
    func reset() {
        apus_http_parser_reset(parser)
        state = .header
        body = []
        keepsBody = true
    }

    /// Discards the body, including the part still to come.
    func dropBody() {
        body = []
        keepsBody = false
    }

    /// Moves the body out.
    func takeBody() -> [UInt8] {
        let taken = body
        body = []
        return taken
    }

    private func keep(_ piece: apus_http_slice) {
        guard keepsBody else { return }
        let bytes = piece.buffer
        let head = head
        if body.isEmpty, !head.has_length || head.length > UInt64(bytes.count) {
            body.reserveCapacity(
                max(bytes.count, Int(clamping: min(head.length, UInt64(Self.firstReservation)))))
        }
        body.append(contentsOf: bytes)
    }

    private func error(_ outcome: Int32) -> HTTPError {
        switch outcome {
        case apus_http_header_too_large: .headerTooLarge
        case apus_http_line_too_long: .requestLineTooLong
        case apus_http_body_too_large: .bodyTooLarge
        case apus_http_bad_version: .unsupportedVersion
        case apus_http_truncated: .truncated
        case apus_http_out_of_memory: .outOfMemory
        default: .malformed(String(cString: apus_http_parser_error(parser)))
        }
    }

    // MARK: What Beast leaves open

    private func checkRequest() throws(HTTPError) {
        let head = head
        if head.transfer_encoding_count > 0 {
            // RFC 9112, sections 6.1 and 6.3: with any other coding, the end of the body is unknown.
            guard head.version == 11 else { throw .malformed("Transfer-Encoding in HTTP/1.0") }
            guard head.transfer_encoding_count == 1, head.is_chunked,
                head.transfer_encoding.buffer.equalsIgnoringCase("chunked")
            else { throw .unsupportedTransferCoding }
        }
        // RFC 9112, section 3.2.
        guard head.host_count == 1 || (head.host_count == 0 && head.version == 10) else {
            throw .malformed(head.host_count == 0 ? "no Host" : "more than one Host")
        }
        guard head.host.buffer.allSatisfy(Self.isHostByte) else { throw .malformed("Host is malformed") }
    }

    /// Returns whether a byte may occur in `uri-host [ ":" port ]` (RFC 3986, section 3.2.2).
    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "%"),
            UInt8(ascii: "!"), UInt8(ascii: "$"), UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "("),
            UInt8(ascii: ")"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: ","), UInt8(ascii: ";"),
            UInt8(ascii: "="), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"):
            true
        default: false
        }
    }
}

extension apus_http_slice {
    /// The bytes, while they are valid.
    var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes, count: count) }
}
