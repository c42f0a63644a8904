import Glibc

/// Memory for send queues, in two sizes: a large chunk takes several full messages at a stretch, a small one is all
/// that an idle connection's occasional message needs. The last given back is the first handed out, while it is warm
/// in the cache.
@ReactorActor
final class ChunkPool {
    /// Bytes of a large chunk: three messages of the largest size that `TCPConnection.reserve` promises.
    nonisolated static let largeSize = 256 * 1024
    /// Bytes of a small chunk.
    nonisolated static let smallSize = 4096
    /// Chunks kept for later: 16 MiB of large, 1 MiB of small. Any more go back to the allocator.
    private static let keptLarge = 64
    private static let keptSmall = 256

    private nonisolated(unsafe) var large: [UnsafeMutableRawPointer] = []
    private nonisolated(unsafe) var small: [UnsafeMutableRawPointer] = []

    nonisolated init() {}

    deinit {
        for chunk in large { chunk.deallocate() }
        for chunk in small { chunk.deallocate() }
    }

    /// A chunk of at least `size` bytes: small, large, or one of its own for more than either.
    func take(_ size: Int) -> UnsafeMutableRawBufferPointer {
        let capacity = size <= Self.smallSize ? Self.smallSize : max(size, Self.largeSize)
        let kept =
            capacity == Self.smallSize ? small.popLast() : capacity == Self.largeSize ? large.popLast() : nil
        let base = kept ?? .allocate(byteCount: capacity, alignment: 64)
        return UnsafeMutableRawBufferPointer(start: base, count: capacity)
    }

    func give(_ chunk: UnsafeMutableRawBufferPointer) {
        guard let base = chunk.baseAddress else { return }
        if chunk.count == Self.largeSize, large.count < Self.keptLarge {
            large.append(base)
        } else if chunk.count == Self.smallSize, small.count < Self.keptSmall {
            small.append(base)
        } else {
            base.deallocate()
        }
    }
}
