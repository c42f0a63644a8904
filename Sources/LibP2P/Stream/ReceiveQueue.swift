import Bytes

/// The received bytes of one stream that no reader has taken yet, in chunks of the host's pool.
///
/// Small amounts use small chunks, so that thousands of streams with one message each stay cheap. An empty queue holds
/// no memory.
struct ReceiveQueue {
    private var head: ChunkPool.Chunk?
    private var tail: ChunkPool.Chunk?
    /// The number of bytes held.
    private(set) var count = 0

    /// Appends a copy of `bytes`.
    mutating func append(_ bytes: UnsafeRawBufferPointer, pool: ChunkPool) {
        var rest = bytes
        while !rest.isEmpty {
            if tail == nil || tail?.room == 0 {
                let chunk = pool.take(for: count &+ rest.count)
                tail?.next = chunk
                tail = chunk
                if head == nil { head = chunk }
            }
            guard let tail else { return }
            let taken = tail.append(rest)
            count &+= taken
            rest = UnsafeRawBufferPointer(rebasing: rest[taken...])
        }
    }

    /// Moves up to `target.count` bytes out and returns their number.
    mutating func take(into target: UnsafeMutableRawBufferPointer, pool: ChunkPool) -> Int {
        var filled = 0
        while filled < target.count, let chunk = head {
            filled &+= chunk.take(into: UnsafeMutableRawBufferPointer(rebasing: target[filled...]))
            guard chunk.isEmpty else { break }
            removeHead(pool: pool)
        }
        count &-= filled
        return filled
    }

    /// Calls `body` with the first contiguous bytes. The queue must not be empty.
    func withFront<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        guard let head else { return try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
        return try body(head.content)
    }

    /// Drops the first `dropped` bytes, at most those that `withFront` passes.
    mutating func drop(_ dropped: Int, pool: ChunkPool) {
        guard let chunk = head else { return }
        count &-= chunk.drop(dropped)
        if chunk.isEmpty { removeHead(pool: pool) }
    }

    private mutating func removeHead(pool: ChunkPool) {
        guard let chunk = head else { return }
        head = chunk.next
        chunk.next = nil
        if head == nil { tail = nil }
        pool.put(back: chunk)
    }

    /// Drops everything.
    mutating func clear(pool: ChunkPool) {
        while head != nil { removeHead(pool: pool) }
        count = 0
    }
}

/// Memory for received bytes, shared by a host's streams. Not thread-safe.
final class ChunkPool {
    /// The sizes of chunks, in bytes: for a small message, a larger one, and bulk. Only bulk chunks are kept for reuse;
    /// the allocator is quick with the others.
    static let sizes = (small: 1 << 10, medium: 8 << 10, large: 64 << 10)
    /// The most large chunks kept for reuse: 2 MiB, about the backlog of one fast stream.
    static let kept = 32

    /// A block of bytes, written at one end and read at the other.
    final class Chunk {
        private let bytes: UnsafeMutableRawBufferPointer
        private var start = 0
        private var end = 0
        var next: Chunk?

        fileprivate init(size: Int) {
            bytes = .allocate(byteCount: size, alignment: 64)
        }

        deinit {
            bytes.deallocate()
        }

        var size: Int { bytes.count }
        var room: Int { bytes.count &- end }
        var isEmpty: Bool { start == end }
        var content: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[start..<end]) }

        func drop(_ count: Int) -> Int {
            let dropped = min(count, end &- start)
            start &+= dropped
            return dropped
        }

        func append(_ source: UnsafeRawBufferPointer) -> Int {
            let taken = min(room, source.count)
            PathMeter.copied(taken)
            UnsafeMutableRawBufferPointer(rebasing: bytes[end..<(end &+ taken)])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<taken]))
            end &+= taken
            return taken
        }

        func take(into target: UnsafeMutableRawBufferPointer) -> Int {
            let taken = min(end &- start, target.count)
            PathMeter.copied(taken)
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<(start &+ taken)]))
            start &+= taken
            return taken
        }

        fileprivate func recycle() {
            start = 0
            end = 0
        }
    }

    private var free: [Chunk] = []

    /// Returns an empty chunk of a size for a queue of `count` bytes.
    func take(for count: Int) -> Chunk {
        if count <= Self.sizes.small { return Chunk(size: Self.sizes.small) }
        if count <= Self.sizes.medium { return Chunk(size: Self.sizes.medium) }
        return free.popLast() ?? Chunk(size: Self.sizes.large)
    }

    func put(back chunk: Chunk) {
        guard chunk.size == Self.sizes.large, free.count < Self.kept else { return }
        chunk.recycle()
        free.append(chunk)
    }
}
