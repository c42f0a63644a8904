/// Buffers for Noise frames that span reads, shared by a host's connections.
///
/// A connection holds one only while it has part of a frame, so that idle connections hold none. Not thread-safe.
public final class FrameBufferPool {
    /// The size of the longest frame, in bytes.
    static let bufferSize = 65_535
    /// The most buffers kept for reuse. Frames are assembled one at a time on one thread, and otherwise only
    /// connections in the middle of a frame hold a buffer; more idle ones would only serve a burst.
    static let kept = 16

    /// A buffer of the pool.
    final class Buffer {
        let bytes: UnsafeMutableRawBufferPointer

        fileprivate init() {
            bytes = .allocate(byteCount: FrameBufferPool.bufferSize, alignment: 64)
        }

        deinit {
            bytes.deallocate()
        }
    }

    private var free: [Buffer] = []

    /// An empty pool.
    public init() {
        free.reserveCapacity(Self.kept)
    }

    func take() -> Buffer {
        free.popLast() ?? Buffer()
    }

    func put(back buffer: Buffer) {
        if free.count < Self.kept { free.append(buffer) }
    }
}
