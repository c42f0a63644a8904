import Bytes
import CShims

/// lz4's block format, which carries no length: the reader must know it from elsewhere.
enum LZ4 {
    /// Bytes below which compression is not worthwhile.
    static let least = 512
    /// No byte of lz4 stands for more than this many bytes of content: each of the format's length bytes counts to 255.
    static let largestRatio = 255

    /// The compressed form; nil when it would save less than a sixteenth.
    static func compress(_ bytes: SharedBytes) -> SharedBytes? {
        guard bytes.count >= least, let count = Int32(exactly: bytes.count) else { return nil }
        let room = Int32(bytes.count - bytes.count / 16)
        let buffer = ByteBuffer(count: Int(room))
        let written = bytes.withUnsafeBytes { source in
            LZ4_compress_default(
                source.baseAddress?.assumingMemoryBound(to: CChar.self),
                buffer.bytes.baseAddress?.assumingMemoryBound(to: CChar.self), count, room)
        }
        return written > 0 ? buffer.freeze(count: Int(written)) : nil
    }

    /// Exactly `count` bytes of content; nil when `bytes` are not the compressed form of that many. The caller has checked the
    /// count against its limit. No memory is reserved for a count that `bytes` cannot stand for.
    static func decompress(_ bytes: SharedBytes, count: Int) -> SharedBytes? {
        guard count > 0, count / largestRatio <= bytes.count, let length = Int32(exactly: bytes.count),
            let room = Int32(exactly: count)
        else { return nil }
        let buffer = ByteBuffer(count: count)
        let written = bytes.withUnsafeBytes { source in
            LZ4_decompress_safe(
                source.baseAddress?.assumingMemoryBound(to: CChar.self),
                buffer.bytes.baseAddress?.assumingMemoryBound(to: CChar.self), length, room)
        }
        return written == room ? buffer.freeze() : nil
    }
}
