/// The framing of multistream-select 1.0: an unsigned varint length, the text, and a line feed, which the length
/// includes.
///
/// libp2p connections specification, "multistream-select".
enum MultistreamToken {
    /// The protocol's own name, which each side sends first.
    static let header = "/multistream/1.0.0"
    /// The listener's answer to a protocol that it does not support.
    static let notAvailable = "na"
    /// A dialer's request for the list of protocols.
    static let list = "ls"
    /// The longest token accepted from a peer, in bytes, line feed included. The longest protocol ID in use is a
    /// chain's (`/kwil/chain/1.0.0/…`); other implementations have the same limit.
    static let maximumLength = 1024

    /// Appends the framed text to `output`.
    static func append(_ text: String, to output: inout [UInt8]) {
        append(bytes: text.utf8, to: &output)
    }

    /// Appends framed bytes to `output`.
    static func append(bytes: some Collection<UInt8>, to output: inout [UInt8]) {
        var length = UInt(bytes.count) &+ 1
        while length >= 0x80 {
            output.append(UInt8(truncatingIfNeeded: length) | 0x80)
            length >>= 7
        }
        output.append(UInt8(truncatingIfNeeded: length))
        output.append(contentsOf: bytes)
        output.append(UInt8(ascii: "\n"))
    }
}

/// Splits a peer's bytes, which arrive in arbitrary pieces, into tokens.
struct MultistreamTokenReader {
    private var reader = ShortMessageReader(
        .varint, limit: MultistreamToken.maximumLength, name: "negotiation token")

    /// Returns the next token without its line feed, or nil if it is not complete.
    ///
    /// Advances `offset` past the bytes used; bytes after a complete token stay.
    mutating func next(
        in bytes: UnsafeRawBufferPointer, from offset: inout Int
    ) throws(LibP2PError) -> [UInt8]? {
        guard var token = try reader.next(in: bytes, from: &offset) else { return nil }
        guard let last = token.popLast() else { throw .malformed("negotiation token: empty") }
        guard last == UInt8(ascii: "\n") else {
            throw .malformed("negotiation token: does not end in a line feed")
        }
        return token
    }
}
