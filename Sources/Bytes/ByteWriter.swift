/// Builds a byte array. The counterpart of `ByteReader`: integers are little-endian unless a name says
/// otherwise.
public struct ByteWriter {
    /// The bytes written so far.
    public private(set) var bytes: [UInt8]

    /// An empty writer with room for `capacity` bytes.
    public init(capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    private mutating func put<T: FixedWidthInteger>(integer value: T) {
        Swift.withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    /// Appends one byte.
    public mutating func put(u8 value: UInt8) { bytes.append(value) }
    /// Appends two bytes, little-endian.
    public mutating func put(u16 value: UInt16) { put(integer: value.littleEndian) }
    /// Appends four bytes, little-endian.
    public mutating func put(u32 value: UInt32) { put(integer: value.littleEndian) }
    /// Appends eight bytes, little-endian.
    public mutating func put(u64 value: UInt64) { put(integer: value.littleEndian) }
    /// Appends four bytes, little-endian, two's complement.
    public mutating func put(i32 value: Int32) { put(integer: value.littleEndian) }
    /// Appends eight bytes, little-endian, two's complement.
    public mutating func put(i64 value: Int64) { put(integer: value.littleEndian) }
    /// Appends two bytes, big-endian.
    public mutating func putBE(u16 value: UInt16) { put(integer: value.bigEndian) }
    /// Appends four bytes, big-endian.
    public mutating func putBE(u32 value: UInt32) { put(integer: value.bigEndian) }
    /// Appends eight bytes, big-endian.
    public mutating func putBE(u64 value: UInt64) { put(integer: value.bigEndian) }
    /// Appends eight bytes, big-endian, two's complement.
    public mutating func putBE(i64 value: Int64) { put(integer: value.bigEndian) }

    /// Appends an unsigned LEB128 integer of 1 to 10 bytes.
    public mutating func put(uvarint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Appends a signed integer: zig-zag, then `uvarint`.
    public mutating func put(varint value: Int64) {
        put(uvarint: UInt64(bitPattern: (value &<< 1) ^ (value &>> 63)))
    }

    /// Appends bytes without a length.
    public mutating func put(bytes source: some ByteSource) {
        source.withUnsafeBytes {
            PathMeter.copied($0.count)
            bytes.append(contentsOf: $0)
        }
    }

    /// Appends UTF-8 bytes without a length.
    public mutating func put(text: String) { bytes.append(contentsOf: text.utf8) }
}
