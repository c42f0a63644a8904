import Bytes
import CShims

/// Bytes that must not leak: wiped when released, and immutable once created, hence safe to share between
/// threads.
///
/// A guarded value is also kept out of swap and core dumps, between guard pages. That costs some 30
/// microseconds and four pages, so it is for keys that live as long as the node. Unguarded values suit the
/// secrets of a handshake, which creates more than a dozen.
public final class SecretBytes: @unchecked Sendable {
    private let bytes: UnsafeMutableRawBufferPointer
    private let isGuarded: Bool

    /// Creates `count` bytes that `fill` writes.
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

    /// Copies `source`, which the caller must wipe.
    public convenience init(copying source: some ByteSource, guarded: Bool = false) throws(CryptoError) {
        try self.init(count: source.withUnsafeBytes { $0.count }, guarded: guarded) { target in
            source.withUnsafeBytes { target.copyMemory(from: $0) }
        }
    }

    /// Creates `count` random bytes.
    public convenience init(random count: Int, guarded: Bool = false) throws(CryptoError) {
        try self.init(count: count, guarded: guarded) { randombytes_buf($0.uint8, $0.count) }
    }

    /// The number of bytes.
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
    /// Calls `body` with the bytes. Do not let them escape.
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(bytes))
    }
}
