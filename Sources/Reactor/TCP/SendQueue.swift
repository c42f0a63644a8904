import Collections
import Glibc

/// The bytes that one connection has yet to send, in pooled chunks that are filled at the tail. An empty queue holds no
/// memory. Bytes handed to the kernel stay where they are until `consume`.
@ReactorActor
package final class SendQueue {
    private struct Segment: @unchecked Sendable {
        let base: UnsafeMutableRawPointer
        /// The chunk's size.
        let capacity: Int
        var start = 0
        var end = 0
    }

    private var segments = Deque<Segment>()
    /// Room reserved but not yet committed.
    private var reserved = 0
    private(set) var count = 0

    nonisolated init() {}

    deinit {
        for segment in segments { segment.base.deallocate() }
    }

    var isEmpty: Bool { count == 0 }

    /// Returns at least `size` bytes of contiguous room at the tail.
    func reserve(_ size: Int, _ pool: ChunkPool) -> UnsafeMutableRawBufferPointer {
        let size = max(size, 1)
        if let last = segments.last, last.capacity - last.end >= size {
            reserved = last.capacity - last.end
            return UnsafeMutableRawBufferPointer(start: last.base + last.end, count: reserved)
        }
        // An earlier `reserve` made the tail, and nothing was committed to it, so it is unused.
        if let last = segments.last, last.start == last.end {
            release(last, pool)
            _ = segments.popLast()
        }
        let chunk = pool.take(segments.isEmpty ? size : max(size, ChunkPool.largeSize))
        guard let base = chunk.baseAddress else { return chunk }
        segments.append(Segment(base: base, capacity: chunk.count))
        reserved = chunk.count
        return chunk
    }

    /// Queues the first `size` bytes of the last reservation, at most all of it.
    func commit(_ size: Int) {
        let size = min(max(size, 0), reserved)
        reserved = 0
        guard !segments.isEmpty, size > 0 else { return }
        segments[segments.count &- 1].end &+= size
        count &+= size
    }

    /// Describes the head of the queue in `vectors` until they hold at least `limit` bytes. Returns how many vectors are
    /// used and how many bytes they hold.
    func describe(_ vectors: UnsafeMutableBufferPointer<iovec>, limit: Int) -> (used: Int, bytes: Int) {
        var used = 0
        var bytes = 0
        for segment in segments {
            guard used < vectors.count, bytes < limit else { break }
            let length = segment.end - segment.start
            guard length > 0 else { continue }
            vectors[used] = iovec(iov_base: segment.base + segment.start, iov_len: length)
            used &+= 1
            bytes &+= length
        }
        return (used, bytes)
    }

    /// The first contiguous bytes of the queue.
    package var head: UnsafeRawBufferPointer {
        for segment in segments where segment.end > segment.start {
            return UnsafeRawBufferPointer(
                start: segment.base + segment.start, count: segment.end - segment.start)
        }
        return UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// Takes `size` sent bytes off the head and gives finished chunks back.
    func consume(_ size: Int, _ pool: ChunkPool) {
        var left = min(size, count)
        count &-= left
        while let first = segments.first {
            let length = first.end - first.start
            if left < length {
                segments[0].start &+= left
                return
            }
            left &-= length
            // The tail may have been handed out by `reserve`, to be committed later in this turn.
            if segments.count == 1, reserved > 0 {
                segments[0].start = first.end
                return
            }
            segments.removeFirst()
            release(first, pool)
        }
    }

    /// Gives back a chunk that was reserved and never used.
    func trim(_ pool: ChunkPool) {
        guard count == 0, !segments.isEmpty else { return }
        removeAll(pool)
    }

    /// Drops everything.
    func removeAll(_ pool: ChunkPool) {
        for segment in segments { release(segment, pool) }
        segments = Deque()
        count = 0
        reserved = 0
    }

    private func release(_ segment: Segment, _ pool: ChunkPool) {
        pool.give(UnsafeMutableRawBufferPointer(start: segment.base, count: segment.capacity))
    }
}
