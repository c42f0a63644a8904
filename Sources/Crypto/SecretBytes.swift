import CShims
import Multiformats

/// Bytes that must not leak: kept out of swap and core dumps between guard pages, wiped when released.
///
/// Each value takes a few pages of its own, so this is for keys, not for data. Immutable once made, hence safe to share between threads.
public final class SecretBytes: @unchecked Sendable {
    private let bytes: UnsafeMutableRawBufferPointer

    /// `count` bytes that `fill` writes.
    init(count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) throws(CryptoError) {
        Sodium.start()
        guard let memory = sodium_malloc(count) else { throw .outOfMemory }
        bytes = UnsafeMutableRawBufferPointer(start: memory, count: count)
        fill(bytes)
        sodium_mprotect_readonly(memory)
    }

    /// A copy of `source`, which the caller has to wipe.
    public convenience init(copying source: some ByteSource) throws(CryptoError) {
        try self.init(count: source.withUnsafeBytes { $0.count }) { target in
            source.withUnsafeBytes { target.copyMemory(from: $0) }
        }
    }

    /// `count` random bytes.
    public convenience init(random count: Int) throws(CryptoError) {
        try self.init(count: count) { randombytes_buf($0.uint8, $0.count) }
    }

    /// Number of bytes.
    public var count: Int { bytes.count }

    deinit { sodium_free(bytes.baseAddress) }
}

extension SecretBytes: ByteSource {
    /// Calls `body` with the bytes; do not let them escape.
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(bytes))
    }
}

/// libsodium, which must be started before anything else of it is called.
enum Sodium {
    private static let status = sodium_init()

    /// Starts the library; cheap after the first call.
    static func start() { precondition(status >= 0, "libsodium does not start") }
}

/// Bytes from the operating system's random source.
public enum SecureRandom {
    /// `count` random bytes.
    public static func bytes(_ count: Int) -> [UInt8] {
        Sodium.start()
        var bytes = [UInt8](repeating: 0, count: count)
        randombytes_buf(&bytes, count)
        return bytes
    }
}
