/// Buffers for Noise frames that span reads, shared by a host's connections.
///
/// A connection holds one only while it has part of a frame, so that idle connections hold none. Not safe for use
/// from several threads.
public final class FrameBufferPool {
    /// Room for the longest frame.
    static let bufferSize = 65_535
    /// Buffers kept for reuse. Frames are put together one at a time on one thread, and only connections in the
    /// middle of a frame hold a buffer beyond that; more than this many idle ones would be memory for a burst.
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
