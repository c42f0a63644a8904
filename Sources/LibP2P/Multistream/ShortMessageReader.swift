/// Splits a peer's bytes, which arrive in arbitrary pieces, into messages whose length is an unsigned varint of one or
/// two bytes.
struct ShortMessageReader {
    private enum Stage {
        /// The length's low seven bits, once they have arrived.
        case length(low: Int?)
        case body(length: Int)
    }

    private let limit: Int
    /// The kind of message, for errors.
    private let name: StaticString
    private var stage = Stage.length(low: nil)
    private var body: [UInt8] = []

    /// Creates a reader of messages of up to `limit` bytes.
    init(limit: Int, name: StaticString) {
        self.limit = limit
        self.name = name
    }

    /// Returns the next message, or nil if it is not complete. Throws `tooLarge`.
    ///
    /// Advances `offset` past the bytes used; bytes after a complete message stay.
    mutating func next(
        in bytes: UnsafeRawBufferPointer, from offset: inout Int
    ) throws(LibP2PError) -> [UInt8]? {
        while case .length(let low) = stage {
            guard offset < bytes.count else { return nil }
            let byte = bytes[offset]
            offset &+= 1
            let bits = Int(byte & 0x7f)
            if byte & 0x80 == 0 {
                let length = low.map { $0 | bits << 7 } ?? bits
                guard length <= limit else { throw .tooLarge("\(name)") }
                stage = .body(length: length)
                body.reserveCapacity(length)
            } else if low == nil {
                stage = .length(low: bits)
            } else {
                throw .tooLarge("\(name)")
            }
        }
        guard case .body(let length) = stage else { return nil }
        let count = min(length &- body.count, bytes.count &- offset)
        body.append(contentsOf: bytes[offset..<(offset &+ count)])
        offset &+= count
        guard body.count == length else { return nil }
        defer {
            stage = .length(low: nil)
            body = []
        }
        return body
    }
}
