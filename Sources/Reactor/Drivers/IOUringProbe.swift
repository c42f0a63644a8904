import CShims
import Glibc

/// Tests a ring before it is used: some kernels and containers refuse io_uring, others support only part of it.
extension IOUringDriver {
    /// Creates a ring and tests multishot receive into its buffers. Returns nil, with the reason in `code`, if either
    /// fails.
    nonisolated static func makeRing(
        deferred: Bool, _ buffers: UnsafeMutableRawBufferPointer, _ code: inout Int32
    ) -> OpaquePointer? {
        guard
            let ring = apus_uring_create(
                entries, completionEntries, deferred, buffers.baseAddress, bufferCount, bufferSize, &code)
        else { return nil }
        code = probe(ring)
        if code == 0 { return ring }
        apus_uring_destroy(ring)
        return nil
    }

    private nonisolated static func probe(_ ring: OpaquePointer) -> Int32 {
        var pair: (Int32, Int32) = (-1, -1)
        let made = withUnsafeMutableBytes(of: &pair) { pair in
            socketpair(
                AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0,
                pair.baseAddress?.assumingMemoryBound(to: Int32.self))
        }
        guard made == 0 else { return errno }
        var byte: UInt8 = 1
        let written = write(pair.1, &byte, 1)
        Glibc.close(pair.1)
        defer { Glibc.close(pair.0) }
        guard written == 1, apus_uring_receive(ring, pair.0, 1) else { return EIO }
        // Expects one byte in a buffer, then the end of the stream, which ends the request.
        var completion = apus_completion()
        var received = false
        for _ in 0..<4 {
            let result = apus_uring_wait(ring, 1_000_000_000)
            guard result == 0 || result == -EINTR else { return -result }
            while apus_uring_reap(ring, &completion, 1) == 1 {
                if completion.result < 0 { return -completion.result }
                if completion.flags & apus_completion_has_buffer != 0 {
                    received = completion.result == 1
                    apus_uring_return_buffer(ring, UInt16(truncatingIfNeeded: completion.flags >> 16))
                }
                if completion.flags & apus_completion_has_more == 0 { return received ? 0 : EIO }
            }
        }
        return ETIMEDOUT
    }
}
