/// Splits a peer's bytes, which arrive in arbitrary pieces, into messages that are preceded by their length.
struct ShortMessageReader {
    /// The form of a length.
    enum Length {
        /// An unsigned varint of one or two bytes.
        case varint
        /// A big-endian u16.
        case u16
    }

    private enum Stage {
        /// The length's first byte, once it has arrived.
        case length(first: UInt8?)
        case body(length: Int)
    }

    private let form: Length
    private let limit: Int
    /// The kind of message, for errors.
    private let name: StaticString
    private var stage = Stage.length(first: nil)
    private var body: [UInt8] = []

    /// Creates a reader of messages of up to `limit` bytes.
    init(_ form: Length, limit: Int, name: StaticString) {
        self.form = form
        self.limit = limit
        self.name = name
    }

    /// Returns the next message, or nil if it is not complete. Throws `tooLarge`.
    ///
    /// Advances `offset` past the bytes used; bytes after a complete message stay.
    mutating func next(
        in bytes: UnsafeRawBufferPointer, from offset: inout Int
    ) throws(LibP2PError) -> [UInt8]? {
        while case .length(let first) = stage {
            guard offset < bytes.count else { return nil }
            let byte = bytes[offset]
            offset &+= 1
            guard let length = try length(first, byte) else {
                stage = .length(first: byte)
                continue
            }
            guard length <= limit else { throw .tooLarge("\(name)") }
            stage = .body(length: length)
            body.reserveCapacity(length)
        }
        guard case .body(let length) = stage else { return nil }
        let count = min(length &- body.count, bytes.count &- offset)
        body.append(contentsOf: bytes[offset..<(offset &+ count)])
        offset &+= count
        guard body.count == length else { return nil }
        defer {
            stage = .length(first: nil)
            body = []
        }
        return body
    }

    /// Returns the length that ends with `byte`; nil if another byte follows.
    private func length(_ first: UInt8?, _ byte: UInt8) throws(LibP2PError) -> Int? {
        switch (form, first) {
        case (.u16, nil): nil
        case (.u16, let first?): Int(first) << 8 | Int(byte)
        case (.varint, nil): byte & 0x80 == 0 ? Int(byte) : nil
        case (.varint, let first?) where byte & 0x80 == 0: Int(first & 0x7F) | Int(byte) << 7
        case (.varint, _): throw .tooLarge("\(name)")
        }
    }
}
