import CShims

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), which protects every byte that Storage keeps on disk.
///
/// It detects every error burst of up to 32 bits, so every damaged byte. It does not resist deliberate tampering.
struct CRC32C {
    /// The inverted remainder so far.
    private var state: UInt32 = ~0

    init() {}

    /// The checksum of all bytes so far.
    var value: UInt32 { ~state }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        if CRC32C.hasInstruction {
            state = apus_crc32c_update(state, base, bytes.count)
        } else {
            state = CRC32C.tableUpdate(state, bytes)
        }
    }

    static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var checksum = CRC32C()
        checksum.update(bytes)
        return checksum.value
    }

    private static let hasInstruction = apus_crc32c_available()

    /// The reflected polynomial.
    private static let polynomial: UInt32 = 0x82F6_3B78

    private static let table: [UInt32] = (0..<256).map { (byte: UInt32) in
        (0..<8).reduce(byte) { value, _ in value & 1 == 1 ? value >> 1 ^ polynomial : value >> 1 }
    }

    /// Processes one byte at a time, for processors without the instruction.
    static func tableUpdate(_ state: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
        table.withUnsafeBufferPointer { table in
            bytes.reduce(state) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Returns the little-endian u32 at `offset`, which must lie within the buffer.
    func word(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
}
