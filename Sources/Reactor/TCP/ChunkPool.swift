import Glibc

/// Memory for send queues, in two sizes: a large chunk holds several full messages, a small one the occasional message
/// of an idle connection. The chunk returned last is reused first, while it is warm in the cache.
@ReactorActor
final class ChunkPool {
    /// The size of a large chunk, in bytes: three messages of the largest size that `TCPConnection.reserve` promises.
    nonisolated static let largeSize = 256 * 1024
    /// The size of a small chunk, in bytes.
    nonisolated static let smallSize = 4096
    /// The most chunks kept for reuse: 16 MiB of large ones, 1 MiB of small ones. The excess goes back to the
    /// allocator.
    private static let keptLarge = 64
    private static let keptSmall = 256

    private nonisolated(unsafe) var large: [UnsafeMutableRawPointer] = []
    private nonisolated(unsafe) var small: [UnsafeMutableRawPointer] = []

    nonisolated init() {}

    deinit {
        for chunk in large { chunk.deallocate() }
        for chunk in small { chunk.deallocate() }
    }

    /// Returns a chunk of at least `size` bytes: a small one, a large one, or one made for a size beyond both.
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
