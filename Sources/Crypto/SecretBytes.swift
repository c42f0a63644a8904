import Bytes
import CShims

/// Bytes that must not leak: wiped when released, and immutable once made, hence safe to share between threads.
///
/// A guarded value is also kept out of swap and core dumps, between guard pages of its own. That takes some 30
/// microseconds and four pages, so it is for keys that live as long as the node. The others are for secrets of a
/// handshake, which makes more than a dozen of them.
public final class SecretBytes: @unchecked Sendable {
    private let bytes: UnsafeMutableRawBufferPointer
    private let isGuarded: Bool

    /// `count` bytes that `fill` writes.
    init(
        count: Int, guarded: Bool = false, _ fill: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(CryptoError) {
        Sodium.start()
        isGuarded = guarded
        if guarded {
            guard let memory = sodium_malloc(count) else { throw .outOfMemory }
            bytes = UnsafeMutableRawBufferPointer(start: memory, count: count)
        } else {
            bytes = .allocate(byteCount: count, alignment: 16)
        }
        fill(bytes)
        if guarded { sodium_mprotect_readonly(bytes.uint8) }
    }

    /// A copy of `source`, which the caller has to wipe.
    public convenience init(copying source: some ByteSource, guarded: Bool = false) throws(CryptoError) {
        try self.init(count: source.withUnsafeBytes { $0.count }, guarded: guarded) { target in
            source.withUnsafeBytes { target.copyMemory(from: $0) }
        }
    }

    /// `count` random bytes.
    public convenience init(random count: Int, guarded: Bool = false) throws(CryptoError) {
        try self.init(count: count, guarded: guarded) { randombytes_buf($0.uint8, $0.count) }
    }

    /// Number of bytes.
    public var count: Int { bytes.count }

    deinit {
        if isGuarded {
            sodium_free(bytes.baseAddress)
        } else {
            sodium_memzero(bytes.uint8, bytes.count)
            bytes.deallocate()
        }
    }
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
