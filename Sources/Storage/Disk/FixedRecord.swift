import Bytes

/// A record of fixed size in a file: a magic, fields, zeros, and the checksum of all these.
protocol FixedRecord {
    /// The size in bytes.
    static var size: Int { get }
    /// The name and version of the format.
    static var magic: [UInt8] { get }

    /// Reads the fields.
    init(from reader: inout ByteReader) throws(BytesError)
    /// Writes the fields.
    func write(to writer: inout ByteWriter)
}

extension FixedRecord {
    /// Decodes `size` bytes; nil if they are not such a record.
    init?(decoding bytes: [UInt8]) {
        let end = Self.size - 4
        guard bytes.count == Self.size, bytes.starts(with: Self.magic),
            bytes.withUnsafeBytes({ CRC32C.of(UnsafeRawBufferPointer(rebasing: $0[..<end])) == $0.word(end) })
        else { return nil }
        var reader = ByteReader(SharedBytes(bytes).slice(Self.magic.count..<end))
        guard let record = try? Self(from: &reader) else { return nil }
        self = record
    }

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: Self.size)
        writer.put(bytes: Self.magic)
        write(to: &writer)
        writer.put(bytes: [UInt8](repeating: 0, count: Self.size - 4 - writer.bytes.count))
        writer.put(u32: writer.bytes.withUnsafeBytes(CRC32C.of))
        return writer.bytes
    }
}
