/// Cuts the bytes of a peer into messages with an unsigned varint of at most two bytes for a length, whatever pieces they
/// come in.
struct ShortMessageReader {
    private enum Stage {
        /// The length's low seven bits, once they have come.
        case length(low: Int?)
        case body(length: Int)
    }

    private let limit: Int
    /// What the messages are, for errors.
    private let name: StaticString
    private var stage = Stage.length(low: nil)
    private var body: [UInt8] = []

    /// A reader of messages of up to `limit` bytes.
    init(limit: Int, name: StaticString) {
        self.limit = limit
        self.name = name
    }

    /// The next message, or nil when `bytes` ended before it did. Throws `tooLarge`.
    ///
    /// `offset` moves behind the last byte used; nothing behind a whole message is touched.
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
