/// A cursor over bytes. Every read checks how many bytes remain before it takes or allocates anything.
///
/// Integers are little-endian unless a name says otherwise (docs/wire.md, section 1).
public struct ByteReader {
    private let source: SharedBytes
    /// The number of bytes read so far.
    public private(set) var offset = 0

    /// A reader at the start of `bytes`.
    public init(_ bytes: SharedBytes) { source = bytes }

    /// A reader at the start of a copy of `array`.
    public init(_ array: [UInt8]) { source = SharedBytes(array) }

    /// The number of bytes left.
    public var remaining: Int { source.count &- offset }

    private mutating func integer<T: FixedWidthInteger>() throws(BytesError) -> T {
        let size = MemoryLayout<T>.size
        guard remaining >= size else { throw .truncated }
        let value = source.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
        offset &+= size
        return value
    }

    /// Reads one byte.
    public mutating func u8() throws(BytesError) -> UInt8 { try integer() }
    /// Reads two bytes, little-endian.
    public mutating func u16() throws(BytesError) -> UInt16 { UInt16(littleEndian: try integer()) }
    /// Reads four bytes, little-endian.
    public mutating func u32() throws(BytesError) -> UInt32 { UInt32(littleEndian: try integer()) }
    /// Reads eight bytes, little-endian.
    public mutating func u64() throws(BytesError) -> UInt64 { UInt64(littleEndian: try integer()) }
    /// Reads four bytes, little-endian, two's complement.
    public mutating func i32() throws(BytesError) -> Int32 { Int32(littleEndian: try integer()) }
    /// Reads eight bytes, little-endian, two's complement.
    public mutating func i64() throws(BytesError) -> Int64 { Int64(littleEndian: try integer()) }
    /// Reads two bytes, big-endian.
    public mutating func u16BE() throws(BytesError) -> UInt16 { UInt16(bigEndian: try integer()) }
    /// Reads four bytes, big-endian.
    public mutating func u32BE() throws(BytesError) -> UInt32 { UInt32(bigEndian: try integer()) }
    /// Reads eight bytes, big-endian.
    public mutating func u64BE() throws(BytesError) -> UInt64 { UInt64(bigEndian: try integer()) }
    /// Reads eight bytes, big-endian, two's complement.
    public mutating func i64BE() throws(BytesError) -> Int64 { Int64(bigEndian: try integer()) }

    /// Reads an unsigned LEB128 integer of at most 10 bytes. Accepts only the shortest form, unless `minimal`
    /// is false: protobuf allows longer ones.
    public mutating func uvarint(minimal: Bool = true) throws(BytesError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        var position = offset
        while true {
            guard position < source.count else { throw .truncated }
            let byte = source[position]
            position &+= 1
            if shift == 63, byte > 1 { throw .overlong }
            value |= UInt64(byte & 0x7F) &<< shift
            if byte & 0x80 == 0 {
                if minimal, byte == 0, shift > 0 { throw .overlong }
                offset = position
                return value
            }
            shift &+= 7
        }
    }

    /// Reads a signed integer: zig-zag, then `uvarint`.
    public mutating func varint() throws(BytesError) -> Int64 {
        let raw = try uvarint()
        return Int64(bitPattern: raw &>> 1) ^ (0 &- Int64(bitPattern: raw & 1))
    }

    /// Reads the next `count` bytes, sharing memory with the input.
    public mutating func bytes(_ count: Int) throws(BytesError) -> SharedBytes {
        guard count >= 0, count <= remaining else { throw .truncated }
        let slice = source.slice(offset..<(offset &+ count))
        offset &+= count
        return slice
    }

    /// Reads the next `count` bytes, sharing memory with the input, where `count` is a length read from the wire.
    public mutating func bytes(_ count: UInt64) throws(BytesError) -> SharedBytes {
        guard let count = Int(exactly: count) else { throw .truncated }
        return try bytes(count)
    }

    /// Reads the next `count` bytes, copied.
    public mutating func array(_ count: Int) throws(BytesError) -> [UInt8] {
        try bytes(count).array
    }

    /// Reads the next `count` bytes as text. Throws unless they are UTF-8.
    public mutating func text(_ count: Int) throws(BytesError) -> String {
        let raw = try bytes(count)
        guard let text = String(utf8: raw) else { throw .invalid("UTF-8") }
        return text
    }

    /// Throws if any bytes are left.
    public func finish() throws(BytesError) {
        guard remaining == 0 else { throw .trailingBytes(remaining) }
    }
}

extension String {
    /// The text encoded by `bytes`, or nil if they are not valid UTF-8. Repairs nothing.
    public init?(utf8 bytes: some ByteSource) {
        guard let text = bytes.withUnsafeBytes({ String(validating: $0, as: UTF8.self) }) else { return nil }
        self = text
    }
}
